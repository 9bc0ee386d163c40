// Calls written as JSON: an object, or an array of them.
//
//   hermes            <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>
//   nemotron_deci     <TOOLCALL>[{…}]</TOOLCALL>          jamba  <tool_calls>[{…}]</tool_calls>
//   mistral           [TOOL_CALLS][{…}]                   phi4   functools[{…}]
//   llama3_json       <|python_tag|>{…}, or the bare object at the start of the answer; several behind `;`
//
// `parameters` is as good as `arguments`, none is `{}`, and a string that holds an object is that object.
// Source: Dynamo 1.6.1, seen running; evidence: golden frontend tool.*, tool2.hermes*. Ours reads an end tag inside a string of
// the arguments as text, and gives back what is no call (1.6.1 loses both).
import { type Block, type CallFormat, markerStart, type ParsedCall } from "./call-format.ts";
import { endOfValue, itemTexts, memberTexts, parsedJson } from "./json-text.ts";

/** Between two tags; the last end tag may be missing. */
export function taggedJson(start: string, end: string): CallFormat {
  return {
    markers: [start],
    blockStart: (text) => markerStart(text, [start]),
    readBlock: (text, last) => readTagged(text, start, end, last),
  };
}

function readTagged(text: string, start: string, end: string, last: boolean): Block {
  for (let at = text.indexOf(end); at >= 0; at = text.indexOf(end, at + 1)) {
    const body = text.slice(start.length, at);
    const calls = jsonCalls(body);
    const length = at + end.length;
    if (calls !== undefined) return { kind: "calls", calls, length };
    if (!endsInside(body)) return { kind: "broken", length };
  }
  if (!last) return { kind: "open" };
  const calls = jsonCalls(text.slice(start.length));
  return calls === undefined ? { kind: "broken", length: text.length } : { kind: "calls", calls, length: text.length };
}

/** Whether the text breaks off within its JSON value. */
function endsInside(body: string): boolean {
  const from = body.search(/\S/);
  return from >= 0 && /["{[]/.test(body[from]!) && endOfValue(body, from) === undefined;
}

/** Behind a marker, to the end of the JSON value. */
export function prefixedJson(start: string): CallFormat {
  return {
    markers: [start],
    blockStart: (text) => markerStart(text, [start]),
    readBlock: (text, last) => {
      const from = start.length + text.slice(start.length).search(/\S|$/);
      const length = endOfValue(text, from);
      if (length === undefined || from >= text.length) return last ? { kind: "broken", length: text.length } : { kind: "open" };
      const calls = jsonCalls(text.slice(from, length));
      return calls === undefined ? { kind: "broken", length } : { kind: "calls", calls, length };
    },
  };
}

const pythonTag = "<|python_tag|>";

export const llamaJson: CallFormat = {
  markers: [pythonTag],
  blockStart: (text, atStart) => {
    const bare = atStart ? text.search(/\S/) : -1;
    if (bare >= 0 && (text[bare] === "{" || text[bare] === "[")) return { at: bare, certain: true };
    return markerStart(text, [pythonTag]);
  },
  readBlock: (text, last) => {
    if (!last) return { kind: "open" }; // whether another call follows shows at the end alone
    const calls = callsInSequence(text.startsWith(pythonTag) ? text.slice(pythonTag.length) : text);
    const { length } = text;
    return calls === undefined ? { kind: "broken", length } : { kind: "calls", calls, length };
  },
};

/** `{…}; {…}` */
function callsInSequence(text: string): ParsedCall[] | undefined {
  const calls: ParsedCall[] = [];
  for (let rest = text.trim(); rest !== ""; rest = rest.replace(/^[\s;]+/, "")) {
    const end = endOfValue(rest, 0) ?? rest.length;
    const here = jsonCalls(rest.slice(0, end));
    if (here === undefined) return undefined;
    calls.push(...here);
    rest = rest.slice(end);
  }
  return calls.length === 0 ? undefined : calls;
}

/** @returns undefined when the text is no JSON, or not that of calls */
export function jsonCalls(text: string): ParsedCall[] | undefined {
  const trimmed = text.trim();
  const value = parsedJson(trimmed);
  if (value instanceof Map) {
    const call = jsonCall(trimmed);
    return call && [call];
  }
  if (!Array.isArray(value) || value.length === 0 || !value.every((item) => item instanceof Map)) return undefined;
  const calls = itemTexts(trimmed).map(jsonCall);
  return calls.every((call) => call !== undefined) ? calls : undefined;
}

function jsonCall(text: string): ParsedCall | undefined {
  const members = memberTexts(text);
  const name = members.has("name") ? parsedJson(members.get("name")!) : undefined;
  if (typeof name !== "string") return undefined;
  return { name, arguments: unwrapped(members.get("arguments") ?? members.get("parameters") ?? "{}") };
}

function unwrapped(text: string): string {
  const value = parsedJson(text);
  if (value === null) return "{}";
  return typeof value === "string" && parsedJson(value) instanceof Map ? value : text;
}
