import {
  type CardEntry,
  cardKey,
  decodeInstance,
  decodeModelCard,
  type EndpointAddress,
  instanceKey,
  type ModelCard,
  parseCardKey,
  stringifyJson,
} from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { idOf, keepingLog, ScriptedInstances, silentLog } from "../testing.ts";
import { CardBook } from "./card-book.ts";
import { downstreamAddress } from "./downstream-address.ts";
import type { Worker, WorkerOptions } from "./worker.ts";
import { WorkerDirectory } from "./worker-directory.ts";

const wanted: EndpointAddress = { namespace: "default", component: "trtllm", endpoint: "generate" };
const baseCard = decodeModelCard(golden<{ base: ModelCard }>("wire/card-acceptance.json").base);

function entry(component: string, facts: Partial<ModelCard> = {}, n = 1): CardEntry {
  return { address: { ...wanted, component }, instanceId: idOf(n), card: { ...baseCard, ...facts } };
}

describe("downstreamAddress", () => {
  const ask = (cards: CardEntry[], component = "trtllm") =>
    downstreamAddress({ cards, wanted: { ...wanted, component }, ownComponent: "mm_router", modelName: "m", modelSources: ["/models/m"] });

  it("is the flag's component as soon as a card stands there", () => {
    expect(ask([entry("backend", { display_name: "m__internal" }), entry("trtllm", { display_name: "whatever" }, 2)])).toEqual({
      kind: "found",
      address: wanted,
      wanted: true,
    });
  });

  it.each([
    ["its public name", { display_name: "m" }],
    ["its internal name", { display_name: "m__internal" }],
    ["its model folder", { display_name: "x", source_path: "/models/m" }],
  ])("is the one other component that serves the model by %s", (_how, facts) => {
    const others = [
      entry("mm_router", { display_name: "m" }, 3),
      entry("prefill", { ...facts, model_type: "Prefill" }, 4),
      entry("other", { display_name: "n" }, 5),
    ];
    expect(ask([entry("backend", facts), entry("backend", facts, 2), ...others])).toEqual({
      kind: "found",
      address: { ...wanted, component: "backend" },
      wanted: false,
    });
  });

  it("is none while nobody serves it, and ambiguous where two components do", () => {
    expect(ask([entry("backend", { display_name: "other" })])).toEqual({ kind: "none" });
    expect(ask([entry("a", { display_name: "m" }), entry("b", { display_name: "m" }, 2)])).toEqual({
      kind: "ambiguous",
      components: ["a", "b"],
    });
  });

  it("never replaces a component that was asked for by name", () => {
    expect(ask([entry("backend", { display_name: "m" })], "tensorrt_llm")).toEqual({ kind: "none" });
  });
});

describe("CardBook", () => {
  it("skips a card that cannot be read, says so, and forgets the one before it", () => {
    const log = keepingLog();
    const book = new CardBook(log);
    const key = "v1/mdc/default/trtllm/generate/1";
    book.put(key, stringifyJson({ type: "Model", card_json: baseCard }));
    expect(book.list().length).toBe(1);
    book.put(key, "{}");
    expect(book.list()).toEqual([]);
    expect(log.lines[0]).toMatchObject({ level: "warn", facts: { key } });
  });

  it("leaves cards of LoRA adapters out", () => {
    const book = new CardBook(silentLog);
    book.put("v1/mdc/default/trtllm/generate/1/adapter", stringifyJson({ type: "Model", card_json: baseCard }));
    expect(book.list()).toEqual([]);
  });
});

describe("WorkerDirectory", () => {
  function directory(options: Partial<WorkerOptions> = {}) {
    const instances = new ScriptedInstances();
    const cards = new CardBook(silentLog);
    const seen: Worker[] = [];
    const onWorker = (worker: Worker) => void seen.push(worker);
    const workers = new WorkerDirectory({
      address: wanted,
      instances,
      cards,
      modelType: "qwen2_vl",
      chunkedPrefill: false,
      onWorker,
      ...options,
    });
    return {
      workers,
      seen,
      instances,
      join: (n: number) => instances.join(decodeInstance(instanceKey(wanted, idOf(n)), '{"transport":{"nats_tcp":"s"}}')),
      leave: (n: number) => instances.leave(idOf(n)),
      card: (n: number, facts: Partial<ModelCard> = {}) =>
        cards.put(cardKey(wanted, idOf(n)), stringifyJson({ card_json: { ...baseCard, ...facts } })),
      ids: () => workers.available().map(({ instanceId }) => instanceId),
    };
  }

  it("has a worker once both its records are there, in either order, and tells of it once", () => {
    const { join, card, leave, ids, seen } = directory();
    join(2);
    expect(ids()).toEqual([]);
    card(2);
    card(1);
    join(1);
    card(1, { migration_limit: 1 });
    expect(ids()).toEqual([idOf(1), idOf(2)]);
    leave(1);
    expect(ids()).toEqual([idOf(2)]);
    expect(seen.map(({ instanceId }) => instanceId)).toEqual([idOf(2), idOf(1)]);
  });

  it("does not offer who was set aside, until everybody is", () => {
    const { join, card, ids, instances, workers } = directory();
    for (const n of [1, 2]) {
      join(n);
      card(n);
    }
    instances.setAside(idOf(1));
    expect(ids()).toEqual([idOf(2)]);
    expect(workers.list().length).toBe(2);
    instances.setAside(idOf(2));
    expect(ids()).toEqual([idOf(1), idOf(2)]);
  });

  it("knows ranks and block size from the card", () => {
    const { join, card, workers } = directory();
    join(1);
    card(1, { kv_cache_block_size: 64, runtime_config: { data_parallel_start_rank: 2, data_parallel_size: 2 } });
    const [worker] = workers.list();
    expect(worker?.blockSize).toBe(64);
    expect(worker?.ranks).toEqual([
      { workerId: idOf(1), dpRank: 2 },
      { workerId: idOf(1), dpRank: 3 },
    ]);
  });

  it("waits for the first worker, and gives up when told", async () => {
    const { join, card, workers } = directory();
    const waiting = workers.first(new AbortController().signal);
    join(1);
    card(1);
    await waiting;
    const stop = new AbortController();
    const other = directory().workers.first(stop.signal);
    stop.abort(new Error("stopped"));
    await expect(other).rejects.toThrow("stopped");
  });

  it.each([
    ["0.9.1", "qwen2_vl", "none"],
    ["1.0.2", "qwen2_vl", "oov-s1"],
    ["1.2.1", "qwen2_vl", "oov-s1"],
    ["1.4.2", "qwen2_vl", "pad"],
    ["1.6.1", "qwen2_5_vl", "pad"],
    ["1.6.1", "llava_next", "in-vocab"],
  ])("knows what stands for an image in the events of a real %s worker of %s", (release, modelType, dialect) => {
    const records = golden<{ discovery: Record<string, unknown> }>(`worker/mm-${release}.json`).discovery;
    const key = Object.keys(records).find((name) => parseCardKey(name) !== undefined)!;
    const { address, instanceId } = parseCardKey(key)!;
    const place = instanceKey(address, instanceId);
    const instances = new ScriptedInstances();
    instances.join(decodeInstance(place, stringifyJson(records[place])));
    const cards = new CardBook(silentLog);
    cards.put(key, stringifyJson(records[key]));
    const options = { address, instances, cards, modelType, chunkedPrefill: false };
    expect(new WorkerDirectory(options).list()).toMatchObject([{ imageDialect: dialect, dialect: { release }, blockSize: 32 }]);
    expect(new WorkerDirectory({ ...options, imageDialect: "oov-s1" }).list()).toMatchObject([{ imageDialect: "oov-s1" }]);
  });

  it("keeps what a worker's events showed of its images as long as the instance lives, whatever its card says again", () => {
    const { join, leave, card, workers } = directory();
    join(1);
    card(1);
    const dialect = () => workers.list()[0]!.imageDialect;
    const promised = dialect();
    expect(promised).not.toBe("in-vocab");
    workers.pin(idOf(1), "in-vocab");
    card(1);
    expect(dialect()).toBe("in-vocab");
    leave(1);
    join(1);
    expect(dialect()).toBe(promised);
  });

  it.each([
    [{ context_length: 4096, runtime_config: { max_num_batched_tokens: 8192 } }, 4095],
    [{ context_length: 32768, runtime_config: { max_num_batched_tokens: 8192 } }, 8192],
    [{ context_length: 0, runtime_config: { max_num_batched_tokens: null } }, undefined],
  ])("takes the longest prompt from %o", (facts, expected) => {
    const { join, card, workers } = directory();
    join(1);
    card(1, facts);
    expect(workers.list()[0]?.promptTokensMax).toBe(expected);
  });

  it("takes the context alone where engines split prompts over batches", () => {
    const { join, card, workers } = directory({ chunkedPrefill: true });
    join(1);
    card(1, { context_length: 32768, runtime_config: { max_num_batched_tokens: 8192 } });
    expect(workers.list()[0]?.promptTokensMax).toBe(32767);
  });
});
