// Where ours differs from 1.6.1 on purpose: each case with the fault of the real frontend that we do not copy.
//
//    1  causes hidden behind "Invalid request"          the cause, under the same status
//    2  no check of the context length                  400 before a worker is asked, in the words of 1.4.2
//    3  fragments of a Text worker's tool calls lost    joined by their index
//    6  what is no call, or is cut, is lost              given back as text; an end tag within a string is text
//    7  a cut forced call is lost in unary answers      its fragments, as in the stream
//    8  arguments given as a string are quoted twice    the object in the string
//   11  200 with an empty id for a stream without items 500, or an error event
//   12  alternatives of log probabilities not cut       as many as were asked for
//   14  /v1/responses drops thoughts; counts of a prompt are guesses; /v1/messages refuses url images     told; real; taken
//   16  EF BF BD as the bytes of half a character       the token's own bytes
//   17  glm's arguments are lost at line breaks         read
//   18  embeddings pass only as base64 asked as base64  numbers and base64, whichever the worker gives
//   19  text/plain for a body of /v1/messages that is no JSON      an error in Anthropic's form, which its SDKs read
//   20  thinking_mode is left out where /v1/messages switches thinking on      all names of the switch, as for a chat
//   21  /v1/realtime is there for WebSockets only       not there at all
//   22  pictures are named by their URL, and only where their tokens could be counted, of which a guess is told      named by their
//       content as mm-router names them, counted by mm-router (MMR_IMAGE_IDENTITY=url names them as 1.6.1: worker-request.test.ts)
//
// Values are those of comparison.ts.

export interface Difference {
  readonly cases: RegExp;
  readonly fault: number;
  /** Our answer, made of theirs and of the requests that their worker got. Several that fit one case follow each other. */
  readonly expected?: (theirs: Value, work: readonly Work[]) => Value;
  /** What our worker gets, made of what theirs got; "nothing": ours refuses before; "anything": theirs refused. */
  readonly work?: "nothing" | "anything" | ((theirs: readonly Work[]) => Value);
}

/** A request as a worker got it. */
export interface Work {
  readonly request: unknown;
}

type Value = unknown;
type Members = Readonly<Record<string, Value>>;

const plus = "tried to use + operator on unsupported types string and";

export const deliberateDifferences: readonly Difference[] = [
  told(/^(chat|cmpl|text|resp|anth)\.valueerr/, "ValueError: bad value here"),
  told(/^chat\.midvalue/, "ValueError: mid bad"),
  told(/^ctx\.ids_range$/, "token id 99999999 is outside the vocabulary of 151665 tokens"),
  told(/^req\.emptyparts$|^img\.texttmpl$/, `${plus} sequence`),
  told(/^msg\.(refusal|asstnull)\.tok$/, `${plus} undefined`),
  told(/^tmpl\.raise$/, "template says boom"),
  told(/^img\.empty$/, "a part of type image_url has an empty url"),
  told(/^hdr\.wid2?$/, "worker instance 77 does not serve model `test/tok` at dyn://dynamo.tok.generate"),
  told(/^nv\.backend_id$/, "worker instance 12345 does not serve model `test/tok` at dyn://dynamo.tok.generate"),
  told(/^hdr\.dprank$/, "the workers of model `test/tok` have no data-parallel rank 2"),
  told(/^hdr\.dprank_old$/, "the workers of model `test/tok` have no data-parallel rank 3"),
  told(/^hdr\.dprank_data$/, "the workers of model `test/tok` have no data-parallel rank 4"),
  tooLong(/^ctx\.cmpl_toolong$/, 101),
  tooLong(/^ctx\.exact$/, 64),
  tooLong(/^(req\.toolong|ctx\.stream_toolong)$/, 130),
  { cases: /^text\.ttool$/, fault: 3, expected: (theirs) => mapped(theirs, withJoinedCall) },
  {
    cases: /^(chat|text|resp)\.empty$/,
    fault: 11,
    expected: () => refusal(500, "Internal server error", { details: { backend_status: 500 } }),
  },
  {
    cases: /^(chat|text)\.empty\.stream$/,
    fault: 11,
    expected: () => ({
      status: 200,
      contentType: "text/event-stream",
      events: [{ error: { message: "Internal server error", type: "internal_server_error", code: 500 } }, "data: [DONE]"],
    }),
  },
  { cases: /^resp\.empty\.stream$/, fault: 11, expected: (theirs) => withFailedResponse(theirs as StreamAnswer) },
  { cases: /^resp\.think$/, fault: 14, expected: (theirs) => mapped(theirs, withReasoningItem) },
  { cases: /^resp\.think\.stream$/, fault: 14, expected: (theirs) => withReasoningEvents(theirs as StreamAnswer) },
  { cases: /^resp\.input_tokens$/, fault: 14, expected: (theirs) => mapped(theirs, withMember("input_tokens", 130)) },
  { cases: /^anth\.count$/, fault: 14, expected: (theirs) => mapped(theirs, withMember("input_tokens", 33)) },
  { cases: /^anth\..*stream$/, fault: 14, expected: (theirs, work) => withPromptLength(theirs as StreamAnswer, work) },
  { cases: /^anth\.img$/, fault: 14, expected: () => helloMessage(28), work: "anything" },
  { cases: /^anth\.img_url$/, fault: 14, expected: () => helloMessage(25), work: "anything" },
  { cases: /^(img\.(data|multi_turn|probe)|resp\.img|anth\.img_b64)$/, fault: 22, work: (theirs) => theirs.map(withContentNames) },
  { cases: /^emb\.(basic|dims)$/, fault: 18, expected: () => embedding([0.5, -0.25, 1]) },
  { cases: /^get2\.GET\/v1\/realtime$/, fault: 21, expected: () => noRoute("GET /v1/realtime") },
  { cases: /^anth\.syntax$/, fault: 19, expected: () => unreadableMessage },
  { cases: /^anth\.think(\.stream)?$/, fault: 20, work: (theirs) => mapped(theirs, withThinkingMode) },
  {
    cases: /^tool\.hermes\.hermesbad(\.stream)?$/,
    fault: 6,
    expected: withText('<tool_call>\n{"name": "get_weather", "arguments": {oops}}\n</tool_call>'),
  },
  { cases: /^tool\.hermes\.hermescut$/, fault: 6, expected: withText('ok <tool_call>\n{"name": "get_weather", "argu') },
  { cases: /^tool\.hermes\.hermescut\.stream$/, fault: 6, expected: withText('<tool_call>\n{"name": "get_weather", "argu') },
  { cases: /^tool2\.hermestag$/, fault: 6, expected: (theirs) => mapped(theirs, withTaggedCall) },
  { cases: /^tool2\.hermestag\.stream$/, fault: 6, expected: (theirs) => withTaggedStream(theirs as StreamAnswer) },
  { cases: /^tool2\.(reqcut|namedcut)$/, fault: 7, expected: (theirs) => mapped(theirs, (value) => withCall(value, '{"location": "Pa')) },
  { cases: /^tool2\.hermesstr(\.stream)?$/, fault: 8, expected: withArguments('{"location": "Paris"}') },
  { cases: /^tool\.glm\.glm1(\.stream)?$/, fault: 17, expected: withArguments('{"location":"Paris"}') },
  told(
    /^tool2\.required_guided$/,
    "a forced tool_choice cannot be combined with a guided_* constraint: both decide the form of the output",
  ),
  { cases: /^chat\.token_id_logprobs$/, fault: 12, expected: cutTo(1) },
  { cases: /^chat\.logprobs1$/, fault: 12, expected: (theirs) => withOwnBytes(cutTo(1)(theirs)) },
  { cases: /^cmpl\.logprobs0$/, fault: 12, expected: cutTo(1) },
  { cases: /^(tool2\.logprobs(\.stream)?|reason\.logprobs)$/, fault: 16, expected: (theirs) => withOwnBytes(cutTo(1)(theirs)) },
  { cases: /^chat\.(logprobs0?|logprobs\.stream|top_logprobs_only)$/, fault: 16, expected: withOwnBytes },
];

/** Requests that an older release took and ours refuses, by the rules of 1.6.1. */
export const refusedSince: Readonly<Record<string, readonly string[]>> = {
  "0.9.1": ["tool.badname"],
  "1.0.2": [
    ...["cmpl.finerr", "ctx.ids_range", "emb.many", "hdr.dprank", "hdr.dprank_data", "hdr.dprank_old", "hdr.meta70", "hdr.wid", "hdr.wid2"],
    ...["nv.backend_id", "nv.cache", "nv.unknown", "raw.trailing", "resp.sampling", "resp.websearch", "tmpl.badargs", "tmpl.override"],
    ...["tool.badname", "tool.named_unknown", "tool.required_notools", "tool2.empty_tools", "tool2.required_guided", "val.max0"],
    ...["val.maxhuge", "val.top_p0", "val2.tools_params_arr"],
  ],
  "1.4.2": [
    ...["cmpl.finerr", "ctx.ids_range", "emb.many", "hdr.dprank", "hdr.dprank_data", "hdr.dprank_old", "hdr.wid", "hdr.wid2"],
    ...["nv.backend_id", "resp.websearch", "tool2.empty_tools", "val.top_p0", "val2.tools_params_arr"],
  ],
};

function told(cases: RegExp, cause: string): Difference {
  return { cases, fault: 1, expected: (theirs) => mapped(theirs, (value) => (value === "Invalid request" ? cause : value)) };
}

function tooLong(cases: RegExp, tokens: number): Difference {
  const sentence = `This model's maximum context length is 64 tokens. However, your messages resulted in ${tokens} tokens. Please reduce the length of the messages.`;
  return { cases, fault: 2, expected: () => refusal(400, sentence), work: "nothing" };
}

function refusal(status: number, message: string, more: Members = {}): Value {
  const type = status === 400 ? "Bad Request" : "Internal Server Error";
  return { status, contentType: "application/json", body: { message, type, code: status, ...more } };
}

function noRoute(request: string): Value {
  const body = { message: `Route not found: ${request}`, type: "Not Found", code: 404 };
  return { status: 404, contentType: "application/json", body };
}

function withJoinedCall(value: Value): Value {
  if (!isMembers(value) || !isMembers(value["message"])) return value;
  const call = { id: "call_1", type: "function", function: { name: "get_weather", arguments: '{"a":1}' } };
  return { ...value, message: { ...value["message"], tool_calls: [call] }, finish_reason: "tool_calls" };
}

/** The text that came instead of an empty one, or of nothing but the text before it. */
function withText(text: string): (theirs: Value) => Value {
  const isEmpty = (content: Value) => content === null || content === "" || content === "ok ";
  return (theirs) =>
    mapped(theirs, (value) => (isMembers(value) && "content" in value && isEmpty(value["content"]) ? { ...value, content: text } : value));
}

function withArguments(written: string): (theirs: Value) => Value {
  return (theirs) => mapped(theirs, (value) => (isMembers(value) && "arguments" in value ? { ...value, arguments: written } : value));
}

function withCall(value: Value, written: string): Value {
  if (!isMembers(value) || value["role"] !== "assistant") return value;
  return {
    ...value,
    content: null,
    tool_calls: [{ id: "call-<uuid>", type: "function", function: { name: "get_weather", arguments: written } }],
  };
}

/** The end tag in the middle is the string's. */
const taggedArguments = '{"location": "a </tool_call> b {\\"x\\": \\"}"}';

function withTaggedCall(value: Value): Value {
  if (isMembers(value) && "finish_reason" in value) return { ...value, finish_reason: "tool_calls" };
  return withCall(value, taggedArguments);
}

interface StreamAnswer {
  readonly events: readonly Members[];
}

/** An event with a name. */
interface NamedEvent {
  readonly event: string;
  readonly data: Members;
}

function withFailedResponse(theirs: StreamAnswer): Value {
  const [created, begun] = theirs.events as unknown as readonly NamedEvent[];
  const error = { code: "server_error", message: "Internal server error" };
  const response = { ...(begun!.data["response"] as Members), status: "failed", error };
  const failed = { event: "response.failed", data: { type: "response.failed", sequence_number: 2, response } };
  return { ...theirs, events: [created, begun, failed, "data: [DONE]"] };
}

const thought = ["\n", "Let", " me", " think", " about", " Paris", ".\n"];
const thoughtPart = { type: "reasoning_text", text: thought.join("") };
const thoughtItem = { type: "reasoning", id: "rs_<hex>", status: "completed", summary: [], content: [thoughtPart] };

function withReasoningItem(value: Value): Value {
  return isMembers(value) && Array.isArray(value["output"]) && value["output"].length > 0
    ? { ...value, output: [thoughtItem, ...(value["output"] as Value[])] }
    : value;
}

/** The events of the item after the two that open the stream; all others move up. */
function withReasoningEvents(theirs: StreamAnswer): Value {
  const [created, begun, ...rest] = theirs.events as unknown as readonly NamedEvent[];
  const place = { item_id: "rs_<hex>", output_index: 0, content_index: 0 };
  const told: [type: string, members: Members][] = [
    ["response.output_item.added", { output_index: 0, item: { ...thoughtItem, status: "in_progress", content: [] } }],
    ["response.content_part.added", { ...place, part: { type: "reasoning_text", text: "" } }],
    ...thought.map((delta): [string, Members] => ["response.reasoning_text.delta", { ...place, delta }]),
    ["response.reasoning_text.done", { ...place, text: thoughtPart.text }],
    ["response.content_part.done", { ...place, part: thoughtPart }],
    ["response.output_item.done", { output_index: 0, item: thoughtItem }],
  ];
  const ours = told.map(([type, members]) => ({ event: type, data: { type, ...members } }));
  const later = rest.map((event) => (isMembers(event) ? mapped(event, withLaterIndex) : event));
  const events = [created, begun, ...ours, ...later.map((event) => mapped(event, withReasoningItem))] as readonly Value[];
  return { ...theirs, events: events.map((event, at) => mapped(event, numbered(at))) };
}

function withLaterIndex(value: Value): Value {
  return isMembers(value) && value["output_index"] === 0 ? { ...value, output_index: 1 } : value;
}

function numbered(sequence: number): (value: Value) => Value {
  return (value) => (isMembers(value) && String(value["type"]).startsWith("response.") ? { ...value, sequence_number: sequence } : value);
}

function withMember(name: string, written: Value): (value: Value) => Value {
  return (value) => (isMembers(value) && name in value ? { ...value, [name]: written } : value);
}

/** `message_start` tells as many tokens as the worker gets. */
function withPromptLength(theirs: StreamAnswer, [work]: readonly Work[]): Value {
  const length = (work!.request as { token_ids: Members }).token_ids["length"];
  const [start, ...rest] = theirs.events;
  return { ...theirs, events: [mapped(start, withMember("input_tokens", length)), ...rest] };
}

function helloMessage(promptTokens: number): Value {
  const usage = { input_tokens: promptTokens, output_tokens: 9, cache_creation_input_tokens: 0 };
  const content = [{ type: "text", text: "Hello, world! How are you today?" }];
  const stop = { stop_reason: "end_turn", stop_sequence: null };
  const body = { id: "msg_<hex>", type: "message", role: "assistant", content, model: "test/vl", ...stop, usage };
  return { status: 200, contentType: "application/json", body };
}

function embedding(vector: readonly number[]): Value {
  const data = [{ object: "embedding", index: 0, embedding: vector }];
  const usage = { prompt_tokens: 3, total_tokens: 3 };
  return { status: 200, contentType: "application/json", body: { object: "list", data, model: "test/embed", usage } };
}

const unreadableMessage: Value = {
  status: 400,
  contentType: "application/json",
  body: { type: "error", error: { type: "invalid_request_error", message: "Failed to deserialize the JSON body into the target type: " } },
};

/** Python's blake3 of the one picture of these requests, its first 16 digits. */
const pictureName = "9aab4a27bde3bd1c";

function withContentNames(work: Work): Work {
  const { mm_routing_info: _guess, ...request } = work.request as Members;
  const { image_url: images } = request["multi_modal_data"] as { image_url: readonly unknown[] };
  const extraArgs = { ...(request["extra_args"] as Members), mm_hashes: images.map(() => pictureName) };
  return { ...work, request: { ...request, extra_args: extraArgs } };
}

function withThinkingMode(value: Value): Value {
  return isMembers(value) && value["truncate_history_thinking"] === false ? { ...value, thinking_mode: "enabled" } : value;
}

function withTaggedStream(theirs: StreamAnswer): Value {
  const [first] = theirs.events as readonly [Members];
  const call = { index: 0, id: "call-<uuid>", type: "function", function: { name: "get_weather", arguments: taggedArguments } };
  const delta = { content: "", tool_calls: [call], role: "assistant" };
  const chunk = { ...first, choices: [{ index: 0, delta, finish_reason: "tool_calls", logprobs: null }] };
  return { ...theirs, events: [chunk, "data: [DONE]"] };
}

/** Of a list of alternatives, or of an object of them, the first ones: the recording has the likeliest first. */
function cutTo(top: number): (theirs: Value) => Value {
  return (theirs) =>
    mapped(theirs, (value) => {
      if (!isMembers(value) || !Array.isArray(value["top_logprobs"])) return value;
      const list = value["top_logprobs"] as Value[];
      const isChat = "bytes" in value;
      return {
        ...value,
        top_logprobs: isChat ? list.slice(0, top) : list.map((each) => Object.fromEntries(Object.entries(each as Members).slice(0, top))),
      };
    });
}

/** What these tokens of Qwen2.5 are in bytes: the first two halves of ` ✨`, and their neighbours in the vocabulary. */
const halfCharacters: Readonly<Record<string, readonly number[]>> = {
  "-1.5": [32, 226, 156],
  "-2": [168],
  "-3.25": [169],
};

function withOwnBytes(theirs: Value): Value {
  return mapped(theirs, (value) => {
    if (!isMembers(value) || typeof value["token"] !== "string" || !value["token"].includes("\ufffd")) return value;
    return { ...value, bytes: halfCharacters[String(value["logprob"])] };
  });
}

/** The value with every member and item put through `change`, innermost first. */
function mapped(value: Value, change: (value: Value) => Value): Value {
  if (Array.isArray(value)) return change(value.map((item) => mapped(item, change)));
  if (!isMembers(value)) return change(value);
  return change(Object.fromEntries(Object.entries(value).map(([key, member]) => [key, mapped(member, change)])));
}

function isMembers(value: Value): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
