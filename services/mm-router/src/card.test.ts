import { type CardEntry, decodeModelCard, type ModelCard } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { routerCard } from "./card.ts";
import { idOf } from "./testing.ts";

const base = golden<{ base: ModelCard }>("wire/card-acceptance.json").base;
const file = (name: string) => ({ path: `/models/m/${name}`, checksum: `blake3:${"0".repeat(64)}` });
const files = {
  config: file("config.json"),
  tokenizer: file("tokenizer.json"),
  tokenizerConfig: file("tokenizer_config.json"),
  generationConfig: file("generation_config.json"),
};

function worker(n: number, facts: Partial<ModelCard> = {}): CardEntry {
  return { address: { namespace: "ns", component: "c", endpoint: "e" }, instanceId: idOf(n), card: decodeModelCard({ ...base, ...facts }) };
}

const cardFrom = (workers: CardEntry[], more = {}) =>
  routerCard({ name: "Qwen/Qwen2-VL", sourcePath: "/models/m", blockSize: 32, files: { ...files, ...more }, workers });

describe("routerCard", () => {
  it("has every member of the superset that six real frontends list, with values they take", () => {
    const card = cardFrom([worker(1)]);
    expect(decodeModelCard(card)).toEqual(card);
    expect(Object.keys(card).sort()).toEqual(Object.keys(base).sort());
    expect(card).toMatchObject({
      media_decoder: null,
      media_fetcher: null,
      model_type: "Chat | Completions",
      model_input: "Tokens",
      needs: [],
      slug: "qwen_qwen2-vl",
    });
    for (const member of Object.keys(base.runtime_config!)) expect(card.runtime_config).toHaveProperty(member);
  });

  it("takes the smallest context and the parsers on which the workers agree", () => {
    const parsers = { ...base.runtime_config, tool_call_parser: "hermes", reasoning_parser: "qwen3" };
    const card = cardFrom([
      worker(1, { context_length: 4096, runtime_config: parsers }),
      worker(2, { context_length: 2048, runtime_config: parsers }),
    ]);
    expect(card).toMatchObject({
      context_length: 2048,
      architectural_max_context_length: 2048,
      runtime_config: { tool_call_parser: "hermes", reasoning_parser: "qwen3" },
    });
    const torn = cardFrom([
      worker(1, { runtime_config: parsers }),
      worker(2, { runtime_config: { ...parsers, tool_call_parser: "llama3_json" } }),
    ]);
    expect(torn.runtime_config).toMatchObject({ tool_call_parser: null, reasoning_parser: "qwen3" });
  });

  it("is the same whatever order the workers are seen in", () => {
    const workers = [worker(1, { context_length: 4096 }), worker(2, { context_length: 2048 }), worker(3, { context_length: 0 })];
    expect(cardFrom(workers)).toEqual(cardFrom(workers.toReversed()));
  });

  it("names a chat template of its own file, as frontends read it", () => {
    expect(cardFrom([worker(1)], { chatTemplate: file("chat_template.jinja") }).chat_template_file).toEqual({
      hf_chat_template: { is_custom: false, file: file("chat_template.jinja") },
    });
  });
});
