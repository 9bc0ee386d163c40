// Compares an answer with a recorded one, under the rules of golden frontend/*.
//
// Masked: ids, times, instance ids, `mdc_sum`; parser wording after serde's prefix. Not compared: what 1.6.1 cannot have, the
// `error` object beside the flat members. Streams are lists of events; choices may be interleaved otherwise.
import { type JsonValue, parseJson } from "@mm-router/protocol";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly sse?: readonly string[];
}

const uuid = /[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}/g;
const namedHex = /\b(resp|msg|fc|rs|toolu)_[0-9a-f]{32}/g;
const serdePrefix = "Failed to deserialize the JSON body into the target type: ";

/** What of an answer must be equal, as plain values. */
export function comparableAnswer(answer: Answer): unknown {
  const contentType = answer.headers["content-type"]?.split(";")[0];
  if (answer.sse !== undefined) return { status: answer.status, contentType, events: byChoice(answer.sse.map(comparableEvent)) };
  return { status: answer.status, contentType, allow: answer.headers["allow"], body: comparableBody(answer.body ?? "", contentType) };
}

function comparableBody(body: string, contentType: string | undefined): unknown {
  if (contentType !== "application/json" || body === "") return body;
  const value = masked(unquotedIds(body));
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const { error, ...rest } = withoutParserWords(value) as Record<string, unknown>;
  if (error !== undefined && !("code" in rest)) rest["error"] = error; // beside the flat members it is ours alone
  for (const name of ["data", "thresholds"]) if (Array.isArray(rest[name])) rest[name] = rest[name].toSorted(byName);
  return rest;
}

/** Of lists whose order is chance. */
function byName(a: { readonly id?: string; readonly model?: string }, b: typeof a): number {
  return String(a.id ?? a.model) < String(b.id ?? b.model) ? -1 : 1;
}

/** serde's sentence after its prefix, and a parser's inside a rule, are not ours to copy; in any `message` or `error` of a body. */
function withoutParserWords(value: unknown): unknown {
  if (typeof value === "string") {
    return value.startsWith(serdePrefix) ? serdePrefix : value.replace(/(must be a valid JSON object string: ).*/, "$1");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const said = (name: string) => name === "message" || name === "error";
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, said(name) ? withoutParserWords(each) : each]));
}

function comparableEvent(event: string): unknown {
  const [, name, data] = /^(?:event: ([^\n]+)\n)?data: (\{[^]*)$/.exec(event) ?? [];
  if (data === undefined) return event.replaceAll(uuid, "<uuid>");
  return name === undefined ? masked(unquotedIds(data)) : { event: name, data: masked(unquotedIds(data)) };
}

/** Events of each choice in their order, one choice after the other; the rest stays where it is. */
function byChoice(events: readonly unknown[]): unknown[] {
  const indexOf = (event: unknown) => (event as { choices?: { index: number }[] }).choices?.[0]?.index ?? -1;
  const chunks = events.filter((event) => indexOf(event) >= 0).toSorted((a, b) => indexOf(a) - indexOf(b));
  return events.map((event) => (indexOf(event) >= 0 ? chunks.shift() : event));
}

/** The recording has bare `<u64>` where numbers stood. */
function unquotedIds(text: string): string {
  return text.replaceAll(/:<u64>/g, ':"<u64>"');
}

function masked(json: string): unknown {
  return maskedValue(parseJson(json.replaceAll(uuid, "<uuid>").replaceAll(namedHex, "$1_<hex>")), "");
}

const times = new Set([
  "created",
  "created_at",
  "completed_at",
  "request_received_ms",
  "prefill_wait_time_ms",
  "prefill_time_ms",
  "ttft_ms",
  "total_time_ms",
]);
const ids = new Set(["prefill_worker_id", "decode_worker_id", "instance_id"]);
/** Of a list whose order is chance. */
const places = new Set(["first_id", "last_id"]);
/** How a worker can be reached is its own affair: those of the recording were Dynamo's, ours are ours. */
const workersOwn = new Set(["transport", "device_type", "request_plane_codec"]);

function maskedValue(value: JsonValue, key: string): unknown {
  if (times.has(key) && value !== null) return typeof value === "string" ? "<time>" : 0;
  if (ids.has(key)) return "<u64>";
  if (places.has(key)) return "<id>";
  if (key === "mdc_sum") return "<mdc_sum>";
  if (typeof value === "number") return Math.fround(value);
  if (Array.isArray(value)) return value.map((item) => maskedValue(item, ""));
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(([name]) => !workersOwn.has(name));
  return Object.fromEntries(members.map(([name, member]) => [name, maskedValue(member, name)]));
}

/** A worker's request with floats as f32. */
export function comparableRequest(request: unknown): unknown {
  return typeof request === "object" && request !== null ? maskedValue(request as JsonValue, "") : request;
}
