// A /v1/embeddings request as the client sent it, typed, and what an Embedding worker gets of it.
//
//   {"input": "a"}                     {"token_ids": [[64]], "model", ["encoding_format"], "dimensions": null, "mdc_sum", "annotations": []}
//   input: text, texts, ids, lists of ids; a Text worker gets the client's own body
//
// Source: Dynamo 1.6.1, NvCreateEmbeddingRequest; evidence: golden frontend emb.*.
import { type LosslessJson, stringifyJsonLossless } from "@mm-router/protocol";
import { decodeShape, either, type JsonMap, list, oneOf, struct, text, u32 } from "./shape.ts";

type Input = string | string[] | number[] | number[][];
const input = either<Input>("untagged enum EmbeddingInput", text, list(text), list(u32), list(list(u32)));
const decode = struct(
  "NvCreateEmbeddingRequest",
  { model: text, input },
  { encoding_format: oneOf("float", "base64"), dimensions: u32, user: text },
);

export type EmbeddingMembers = ReturnType<typeof decode>;

export interface EmbeddingRequest {
  readonly members: EmbeddingMembers;
  readonly raw: JsonMap;
}

/** @throws AppError `invalid_request` for another shape */
export function parseEmbeddingRequest(body: LosslessJson): EmbeddingRequest {
  return { members: decodeShape(decode, body), raw: body as JsonMap };
}

/** Texts and id lists, one per vector that is asked for. */
export function embeddingInputs({ input: given }: EmbeddingMembers): (string | number[])[] {
  if (typeof given === "string") return [given];
  const isOneOfIds = given.length > 0 && given.every((each) => typeof each === "number");
  return isOneOfIds ? [given as number[]] : (given as (string | number[])[]);
}

/** @param tokenIds of each input @param sum `mdc_sum` of the model's card */
export function embeddingBody({ members, raw }: EmbeddingRequest, tokenIds: readonly Uint32Array[], sum: string): Buffer {
  const rest: JsonMap = new Map([["model", members.model]]);
  if (members.encoding_format !== undefined) rest.set("encoding_format", members.encoding_format);
  rest.set("dimensions", raw.get("dimensions") ?? null);
  rest.set("mdc_sum", sum);
  rest.set("annotations", []);
  const ids = tokenIds.map((each) => `[${each.join(",")}]`).join(",");
  return Buffer.from(`{"token_ids":[${ids}],${stringifyJsonLossless(rest).slice(1)}`);
}
