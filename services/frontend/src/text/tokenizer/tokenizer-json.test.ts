import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { atOnce } from "../steps.ts";
import { readTokenizerJson } from "./tokenizer-json.ts";

/** Tokens that look like the file around them. */
const token = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom(",", '"', "\\", "[", "]", "{", "}", ":", " ", "1", "é", "漢", "vocab", "merges", '"merges":['),
    maxLength: 12,
  }),
);
const vocabulary = fc.dictionary(token, fc.nat(300_000), { maxKeys: 60 });
const merge = fc.tuple(token, token);
const merges = fc.oneof(
  fc.array(merge, { maxLength: 60 }),
  fc.array(
    merge.map((pair) => pair.join(" ")),
    { maxLength: 60 },
  ),
);
const indent = fc.constantFrom(undefined, 2);

const read = (text: string, sliceBytes: number) => atOnce(readTokenizerJson(Buffer.from(text), sliceBytes));

describe("a tokenizer.json", () => {
  it("read slice by slice has the tables that it has whole", () => {
    fc.assert(
      fc.property(vocabulary, merges, indent, fc.integer({ min: 1, max: 400 }), (vocab, pairs, space, sliceBytes) => {
        const file = {
          version: "1.0",
          added_tokens: [{ id: 1, content: "vocab" }],
          decoder: null,
          model: { type: "BPE", vocab, merges: pairs },
        };
        const { file: frame, tables } = read(JSON.stringify(file, null, space), sliceBytes);
        const model = frame["model"] as { vocab: object; merges: unknown };
        const got = { vocabulary: tables?.vocabulary ?? new Map(Object.entries(model.vocab)), merges: tables?.merges ?? model.merges };
        expect(got).toEqual({ vocabulary: new Map(Object.entries(vocab)), merges: pairs });
        expect({ ...frame, model: undefined }).toEqual({ ...file, model: undefined });
      }),
    );
  });

  it("is read so where published ones are cut, within strings and pairs", () => {
    const vocab = Object.fromEntries(Array.from({ length: 2000 }, (_, id) => [id % 3 === 0 ? `a,"${id}` : `,${id}`, id]));
    const pairs = Array.from({ length: 2000 }, (_, rank) => [`,${rank}`, '","'] as const);
    const { file, tables } = read(JSON.stringify({ model: { type: "BPE", vocab, merges: pairs } }), 100);
    expect(file["model"]).toEqual({ type: "BPE", vocab: {}, merges: [] });
    expect(tables).toEqual({ vocabulary: new Map(Object.entries(vocab)), merges: pairs });
  });

  it("of another form is read whole", () => {
    for (const model of [
      { merges: ["a b"], vocab: { a: 0 } },
      { vocab: { a: 0 }, merges: [], more: 1 },
      { type: "Unigram", vocab: [["a", -1]] },
    ]) {
      expect(read(JSON.stringify({ model }), 100)).toEqual({ file: { model }, tables: undefined });
    }
  });

  it("that is cut short or no UTF-8 is refused", () => {
    const text = JSON.stringify({ model: { vocab: { a: 0, b: 1 }, merges: ["a b"] } });
    for (let length = 0; length < text.length; length++) expect(() => read(text.slice(0, length), 3)).toThrow("not JSON");
    expect(() => atOnce(readTokenizerJson(Buffer.concat([Buffer.from(text), Buffer.of(0xff)])))).toThrow("not JSON");
  });
});
