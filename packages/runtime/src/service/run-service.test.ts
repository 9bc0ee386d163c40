import { AppError, errorTable, type ErrorCode } from "@mm-router/protocol";
import { expect, it } from "vitest";
import { exitCodeOf } from "./run-service.ts";

it("tells wrong settings (2) and missing dependencies (3) from everything else (1)", () => {
  const codes = Object.keys(errorTable) as ErrorCode[];
  const byExit = Object.groupBy(codes, (code) => exitCodeOf(new AppError(code, "")));
  expect(byExit[2]).toEqual(["configuration"]);
  expect(byExit[3]).toEqual(["dependency_unreachable"]);
  expect(exitCodeOf(new TypeError("a bug"))).toBe(1);
  expect(exitCodeOf(undefined)).toBe(1);
});
