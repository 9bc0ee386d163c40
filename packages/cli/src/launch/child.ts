export { type Child, type ChildOptions, describeExit, type Environment, type ExitStatus, startChild } from "@mm-router/runtime";
