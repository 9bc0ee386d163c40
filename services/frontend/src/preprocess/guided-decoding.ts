// Constraints on the output: what the client asks for, in the form the engine takes.
//
//   response_format json_object      {"json": {"type": "object"}}
//   response_format json_schema      {"json": <its schema, the client's key order>}
//   guided_{json,regex,choice,grammar}   the same name without `guided_`
//   tool_choice required, named      {"json": <array of calls>}, {"json": <the function's parameters>}
//
// A forced choice wins over response_format; beside a guided_* of the client it is refused. The output is not checked here.
// Source: Dynamo 1.6.1; evidence: golden frontend chat.rf_*, chat.guided_*, tool.required*, tool2.*.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import type { ChatMembers, ChatTool } from "./chat-request.ts";
import type { CompletionMembers } from "./completion-request.ts";
import type { JsonMap } from "./shape.ts";

type GuidedMembers = Pick<
  ChatMembers & CompletionMembers,
  "guided_json" | "guided_regex" | "guided_choice" | "guided_grammar" | "guided_decoding_backend" | "guided_whitespace_pattern"
>;

/** Which constraints the client wrote itself, by their wire names. */
export function guidedKinds(members: GuidedMembers): string[] {
  return ownConstraints(members).map(([kind]) => kind);
}

/**
 * `sampling_options.guided_decoding`, or null.
 *
 * @throws AppError `invalid_request` for a forced tool choice beside the client's own constraint
 */
export function guidedDecoding(
  members: GuidedMembers & Partial<Pick<ChatMembers, "tools" | "tool_choice" | "response_format">>,
): JsonMap | null {
  const own = ownConstraints(members);
  const forced = forcedChoice(members.tools ?? [], members.tool_choice);
  if (forced !== undefined && own.length > 0) {
    throw new AppError(
      "invalid_request",
      "a forced tool_choice cannot be combined with a guided_* constraint: both decide the form of the output",
    );
  }
  const json = forced ?? formatSchema(members.response_format);
  const constraint: [string, LosslessJson] | undefined = own[0] ?? (json === undefined ? undefined : ["json", json]);
  if (constraint === undefined) return null;
  const guided: JsonMap = new Map([constraint]);
  if (members.guided_decoding_backend !== undefined) guided.set("backend", members.guided_decoding_backend);
  if (members.guided_whitespace_pattern !== undefined) guided.set("whitespace_pattern", members.guided_whitespace_pattern);
  return guided;
}

function ownConstraints(members: GuidedMembers): [string, LosslessJson][] {
  const all: [string, LosslessJson | undefined][] = [
    ["json", members.guided_json],
    ["regex", members.guided_regex],
    ["choice", members.guided_choice],
    ["grammar", members.guided_grammar],
  ];
  return all.filter((each): each is [string, LosslessJson] => each[1] !== undefined);
}

function formatSchema(format: ChatMembers["response_format"]): LosslessJson | undefined {
  if (format === undefined || format.type === "text") return undefined;
  return "json_schema" in format ? format.json_schema.schema : new Map([["type", "object"]]);
}

/** The schema that a forced choice lays on the output; undefined when nothing is forced. */
function forcedChoice(tools: readonly ChatTool[], choice: ChatMembers["tool_choice"]): LosslessJson | undefined {
  if (choice === "required") return callsSchema(tools);
  if (typeof choice !== "object") return undefined;
  const tool = tools.find((each) => each.function.name === choice.function.name);
  return tool === undefined ? undefined : parametersSchema(tool);
}

function callsSchema(tools: readonly ChatTool[]): JsonMap {
  const call = (tool: ChatTool): LosslessJson =>
    mapOf({
      properties: mapOf({ name: mapOf({ type: "string", enum: [tool.function.name] }), parameters: parametersSchema(tool) }),
      required: ["name", "parameters"],
    });
  return mapOf({ type: "array", minItems: 1, items: mapOf({ type: "object", anyOf: tools.map(call) }) });
}

/** A function without parameters, or with `{}`, takes an empty object. */
function parametersSchema({ function: { parameters } }: ChatTool): LosslessJson {
  if (parameters instanceof Map && parameters.size > 0) return parameters;
  return mapOf({ type: "object", properties: new Map() });
}

function mapOf(members: Readonly<Record<string, LosslessJson>>): JsonMap {
  return new Map(Object.entries(members));
}
