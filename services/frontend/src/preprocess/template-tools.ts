// Tools of a chat request as a model's template sees them.
//
//   {"type":"function","function":{"name":"f","parameters":{}}}
//   → {"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}},"description":""}}
//
// Members stand in a fixed order, nulls and unknown ones are gone; inside `parameters` everything is the client's.
// Source: Dynamo 1.6.1 (preprocessor/prompt/template/oai.rs), seen running; rules 1 to 3 of text.md §3.
import type { LosslessJson } from "@mm-router/protocol";

export interface ToolOptions {
  /** As in the request. */
  readonly toolChoice: LosslessJson | undefined;
  /** `--exclude-tools-when-tool-choice-none` */
  readonly hidesToolsForNone: boolean;
}

/** @param tools the request's `tools` as they came; undefined: the template gets none */
export function templateTools(tools: LosslessJson | undefined, options: ToolOptions): LosslessJson | undefined {
  if (!Array.isArray(tools)) return undefined;
  if (options.toolChoice === "none" && options.hidesToolsForNone) return undefined;
  return tools.map((tool) => (tool instanceof Map ? templateTool(tool) : tool));
}

function templateTool(tool: ReadonlyMap<string, LosslessJson>): LosslessJson {
  const given = tool.get("function");
  return new Map<string, LosslessJson>([
    ["type", tool.get("type") ?? "function"],
    ["function", given instanceof Map ? templateFunction(given) : (given ?? null)],
  ]);
}

const functionMembers = ["name", "description", "parameters", "strict"];

function templateFunction(given: ReadonlyMap<string, LosslessJson>): LosslessJson {
  const result = new Map<string, LosslessJson>();
  for (const name of functionMembers) {
    const value = given.get(name) ?? null;
    if (value !== null) result.set(name, name === "parameters" ? completeSchema(value) : value);
  }
  if (typeof result.get("description") !== "string") result.set("description", "");
  return result;
}

/** Rule 1: templates expect an object schema. */
function completeSchema(schema: LosslessJson): LosslessJson {
  if (!(schema instanceof Map)) return schema;
  const complete = new Map(schema);
  if (!complete.has("type")) complete.set("type", "object");
  if (!complete.has("properties")) complete.set("properties", new Map());
  return complete;
}
