// A /v1/responses request as the client sent it, typed.
//
// Unknown members are ignored here (chat refuses them). What needs a memory of earlier answers is refused: this API keeps none.
// Source: Dynamo 1.6.1, NvCreateResponse; evidence: golden frontend resp.*.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import {
  anything,
  type Decoder,
  decodeShape,
  either,
  f32,
  type JsonMap,
  list,
  map,
  oneOf,
  struct,
  type StructOf,
  tagged,
  text,
  u8,
  u32,
  yesNo,
} from "../preprocess/shape.ts";

const format = tagged<JsonMap>("type", {
  text: map,
  json_object: map,
  json_schema: (value) => {
    struct("ResponseFormatJsonSchema", { name: text, schema: anything }, {})(value);
    return map(value);
  },
});
const input: Decoder<string | JsonMap[]> = either<string | JsonMap[]>("untagged enum InputParam", text, list(map));
const toolChoice = either<string | JsonMap>("untagged enum ToolChoiceParam", oneOf("none", "auto", "required"), map);

const required = { input };
const optional = {
  model: text,
  instructions: text,
  stream: yesNo,
  max_output_tokens: u32,
  temperature: f32,
  top_p: f32,
  top_logprobs: u8,
  tools: list(map),
  tool_choice: toolChoice,
  parallel_tool_calls: yesNo,
  text: struct("ResponseTextParam", {}, { format, verbosity: text }),
  reasoning: struct("Reasoning", {}, { effort: text, summary: text }),
  chat_template_args: map,
  include: list(text),
  truncation: oneOf("auto", "disabled"),
  service_tier: text,
  store: yesNo,
  metadata: map,
  user: text,
  prompt_cache_key: text,
  prompt_cache_retention: text,
  safety_identifier: text,
  nvext: map,
  background: yesNo,
  previous_response_id: text,
  max_tool_calls: u32,
};

export type ResponsesMembers = StructOf<typeof required, typeof optional>;

export interface ResponsesRequest {
  readonly members: ResponsesMembers;
  /** The body as it came, for what the answer repeats. */
  readonly raw: JsonMap;
}

/** @throws AppError `invalid_request` for another shape, `unsupported` for what this API does not do */
export function parseResponsesRequest(body: LosslessJson): ResponsesRequest {
  const aliases = { chat_template_kwargs: "chat_template_args" };
  const members = decodeShape(struct("NvCreateResponse", required, optional, { aliases }), body);
  const refused = unsupportedMember(members);
  if (refused !== undefined) throw new AppError("unsupported", `Validation: \`${refused}\` is not supported.`);
  return { members, raw: body as JsonMap };
}

function unsupportedMember(members: ResponsesMembers): string | undefined {
  if (members.background === true) return "background: true";
  if (members.previous_response_id !== undefined) return "previous_response_id";
  return members.max_tool_calls === undefined ? undefined : "max_tool_calls";
}
