import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { decodeCardEntry, decodeModelCard, encodeCardEntry, modelTypesOf } from "./model-card.ts";

interface Recorded {
  readonly key: string;
  readonly value: string;
}
type Card = Record<string, unknown>;
interface Acceptance {
  readonly base: Card;
  readonly variants: Record<string, Card | string>;
  readonly listed: Record<string, Record<string, boolean>>;
}

const recorded = golden<{ cards: Recorded[] }>("wire/discovery.json").cards;
const acceptance = golden<Acceptance>("wire/card-acceptance.json");
const minimalText = {
  display_name: "m",
  slug: "m",
  kv_cache_block_size: 0,
  migration_limit: 0,
  context_length: 0,
  model_type: "Chat",
  model_input: "Text",
};

/** Decided by more than the card: the file's digest, the peers present, the instance. */
const notTheCard = new Set(["wrong_checksum", "needs_prefill", "no_instance"]);

describe("model cards", () => {
  it("of all releases decode, and encode with nothing lost", () => {
    expect(recorded.length).toBeGreaterThanOrEqual(12);
    for (const { key, value } of recorded) expect(parseJson(encodeCardEntry(decodeCardEntry(key, value)))).toEqual(parseJson(value));
  });

  it("are accepted exactly where the frontends of 1.4, 1.5 and 1.6 list them", () => {
    const wrong: string[] = [];
    let checked = 0;
    for (const [name, change] of Object.entries(acceptance.variants)) {
      if (notTheCard.has(name)) continue;
      const { "1.4.2": v14, "1.5.1": v15, "1.6.1": v16 } = acceptance.listed[name]!;
      expect([name, v15, v16]).toEqual([name, v14, v14]);
      if (accepts(variant(change)) !== v14) wrong.push(name);
      checked++;
    }
    expect(wrong).toEqual([]);
    expect(checked).toBe(49);
  });

  it("keep members that nobody here knows", () => {
    const card = decodeModelCard({ ...acceptance.base, zzz: { id: 18446744073709551615n } });
    expect(card["zzz"]).toEqual({ id: 18446744073709551615n });
    expect(stringifyJson(card)).toContain('"zzz":{"id":18446744073709551615}');
  });

  it("name their types", () => {
    expect(modelTypesOf(decodeModelCard({ ...acceptance.base, model_type: "Chat | Completions" }))).toEqual(["Chat", "Completions"]);
  });

  it("keep the suffix of a LoRA adapter", () => {
    const value = stringifyJson({ type: "Model", card_json: acceptance.base });
    expect(decodeCardEntry("v1/mdc/ns/c/e/1/adapter-a", value).suffix).toBe("adapter-a");
  });

  it("give an AppError or a card for 2 000 mutations of a real record", () => {
    const mutation = fc.record({
      record: fc.constantFrom(...recorded),
      at: fc.nat(2500),
      cut: fc.nat(6),
      put: fc.string({ maxLength: 4 }),
    });
    fc.assert(
      fc.property(mutation, ({ record, at, cut, put }) => {
        try {
          decodeCardEntry(record.key, record.value.slice(0, at) + put + record.value.slice(at + cut));
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function variant(change: Card | string): Card {
  if (typeof change === "string") return minimalText;
  const card: Card = { ...acceptance.base, ...change };
  for (const [member, value] of Object.entries(change)) if (value === "(absent)") delete card[member];
  return card;
}

function accepts(card: Card): boolean {
  try {
    decodeModelCard(card);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    return false;
  }
}
