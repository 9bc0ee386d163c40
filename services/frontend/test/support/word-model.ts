import type { TextModel } from "../../src/text/index.ts";

/** Ids are words; enough of a model where only the way of answers is looked at. */
export const wordModel = {
  render: () => "prompt",
  encodeAside: () => Uint32Array.of(1, 2, 3),
  detokenizer: () => ({ push: (ids: readonly number[]) => ids.map((id) => `w${id} `).join("") }),
  vocabularySize: 10,
  eosTokenIds: [9],
} as unknown as TextModel;
