// What routing needs of tokenizer.json, without its vocabulary: a file of many megabytes of which a few kilobytes are decoded.
import { memberSpans, type MemberSpan, parseJson } from "@mm-router/protocol";
import type { JsonFields } from "./families/family.ts";
import type { TokenizerPipeline } from "./prompt-reencoding.ts";

/** @throws AppError `protocol_error` when it is no JSON object */
export function parseTokenizerFile(json: Buffer): TokenizerPipeline {
  const members = memberSpans(json);
  const valueOf = (name: string): unknown => memberOf(json, members, name);
  return {
    model: modelFields(json, members.get("model")),
    normalizer: valueOf("normalizer"),
    preTokenizer: valueOf("pre_tokenizer"),
    postProcessor: valueOf("post_processor"),
    decoder: valueOf("decoder"),
    addedTokens: idsOf(valueOf("added_tokens")),
  };
}

function modelFields(json: Buffer, span: MemberSpan | undefined): JsonFields {
  const model = span && json.subarray(span.start, span.end);
  if (model?.[0] !== 0x7b /* { */) return {};
  const members = memberSpans(model);
  return { type: memberOf(model, members, "type"), dropout: memberOf(model, members, "dropout") } as JsonFields;
}

function memberOf(json: Buffer, members: ReadonlyMap<string, MemberSpan>, name: string): unknown {
  const span = members.get(name);
  return span === undefined ? undefined : parseJson(json.subarray(span.start, span.end));
}

function idsOf(tokens: unknown): Map<string, number> {
  const ids = new Map<string, number>();
  for (const token of Array.isArray(tokens) ? (tokens as JsonFields[]) : []) {
    const { content, id } = token;
    if (typeof content === "string" && typeof id === "number") ids.set(content, id);
  }
  return ids;
}
