import { describe, expect, it } from "vitest";
import { EmbeddingReader, embeddingAnswer } from "./embeddings.ts";

const numbers = [0.5, -0.25, 1];
/** The same as little-endian f32. */
const base64 = "AAAAPwAAgL4AAIA/";
const answer = (embeddings: unknown, asked: { inputs: number; base64: boolean }) =>
  embeddingAnswer([new EmbeddingReader().read({ embeddings, prompt_tokens: 3, total_tokens: 3 })], "m", asked) as {
    data: { embedding: unknown }[];
  };

describe("embeddings", () => {
  it.each([
    [[numbers], false, numbers],
    [[numbers], true, base64],
    [[base64], false, numbers],
    [[base64], true, base64],
  ])("given as %j go out as the client asked (base64: %j)", (given, asBase64, expected) => {
    expect(answer(given, { inputs: 1, base64: asBase64 }).data[0]!.embedding).toEqual(expected);
  });

  it("are refused when they are not as many as the inputs", () => {
    expect(() => answer([numbers], { inputs: 2, base64: false })).toThrow("1 embeddings for 2 inputs");
  });

  it("are refused when the worker says something else", () => {
    expect(() => new EmbeddingReader().read({ token_ids: [1] })).toThrow("no embeddings");
  });
});
