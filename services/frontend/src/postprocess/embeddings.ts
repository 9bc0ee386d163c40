// Vectors of an Embedding worker, in the form that the client asked for.
//
//   item   {"embeddings": [[0.5, -0.25], …] or ["base64 of little-endian f32", …], "prompt_tokens", "total_tokens"}
//   body   {"object":"list","data":[{"object":"embedding","index":0,"embedding":…}],"model","usage":{"prompt_tokens","total_tokens"}}
//
// Source: Dynamo 1.6.1; evidence: golden frontend emb.*. There only base64 that was asked for as base64 passes; here all four do.
import { AppError } from "@mm-router/protocol";
import { z } from "zod";
import type { ItemReader } from "./relay.ts";

const vectors = z.union([z.array(z.array(z.number())), z.array(z.base64())]);
const item = z.object({ embeddings: vectors, prompt_tokens: z.number().default(0), total_tokens: z.number().default(0) });

export type Vectors = z.output<typeof item>;

export class EmbeddingReader implements ItemReader<Vectors> {
  readonly done = false;

  read(data: unknown): Vectors {
    const result = item.safeParse(data);
    if (result.success) return result.data;
    throw new AppError("protocol_error", "the worker's item holds no embeddings", { cause: result.error });
  }
}

/** @throws AppError `protocol_error` when the worker gave another number of vectors than were asked for */
export function embeddingAnswer(
  items: readonly Vectors[],
  model: string,
  asked: { readonly inputs: number; readonly base64: boolean },
): object {
  const all = items.flatMap(({ embeddings }): (string | number[])[] => embeddings);
  if (all.length !== asked.inputs)
    throw new AppError("protocol_error", `the worker gave ${all.length} embeddings for ${asked.inputs} inputs`);
  const data = all.map((vector, index) => ({ object: "embedding", index, embedding: asked.base64 ? base64Of(vector) : numbersOf(vector) }));
  const sum = (of: (each: Vectors) => number) => items.reduce((total, each) => total + of(each), 0);
  const usage = { prompt_tokens: sum((each) => each.prompt_tokens), total_tokens: sum((each) => each.total_tokens) };
  return { object: "list", data, model, usage };
}

function base64Of(vector: string | readonly number[]): string {
  if (typeof vector === "string") return vector;
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4);
  return bytes.toString("base64");
}

function numbersOf(vector: string | readonly number[]): readonly number[] {
  if (typeof vector !== "string") return vector;
  const bytes = Buffer.from(vector, "base64");
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => bytes.readFloatLE(at * 4));
}
