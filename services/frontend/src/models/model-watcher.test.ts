import { type CardEntry, cardKey, encodeCardEntry, type EndpointAddress, type Instance, type InstanceId } from "@mm-router/protocol";
import { type EndpointClient, ManualClock, type WatchListener } from "@mm-router/runtime";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { TextModel } from "../text/index.ts";
import { ModelSet } from "./model-set.ts";
import { ModelWatcher } from "./model-watcher.ts";
import type { NamespaceFilter } from "./namespace-filter.ts";

const checksum = (digit: string) => `blake3:${digit.repeat(64)}`;
const file = (name: string, digit: string) => ({ path: `/models/${name}`, checksum: checksum(digit) });

function tokensCard(name: string, changes: object = {}): CardEntry["card"] {
  return {
    display_name: name,
    slug: "m",
    model_info: { hf_config_json: file("config.json", "1") },
    tokenizer: { hf_tokenizer_json: file("tokenizer.json", "2") },
    prompt_formatter: { hf_tokenizer_config_json: file("tokenizer_config.json", "3") },
    context_length: 64,
    kv_cache_block_size: 32,
    migration_limit: 0,
    model_type: "Chat | Completions",
    model_input: "Tokens",
    ...changes,
  } as CardEntry["card"];
}

/** A watcher over a map that the test writes, whose loads end when the test says so. */
class Cluster {
  readonly models = new ModelSet();
  readonly loads: { readonly entry: CardEntry; readonly done: PromiseWithResolvers<TextModel> }[] = [];
  readonly warnings: string[] = [];
  readonly closedClients: string[] = [];
  readonly #watcher: ModelWatcher;
  #listener!: WatchListener;
  #live: Instance[] = [];

  constructor(namespaces: NamespaceFilter = { exact: undefined, prefix: undefined }) {
    const log = { debug: () => {}, info: () => {}, error: () => {}, warn: (msg: string) => this.warnings.push(msg), child: () => log };
    this.#watcher = new ModelWatcher(
      { namespaces, mode: "round-robin", affinity: { ttlMs: undefined, mode: "hard" }, setAsideMs: 5000 },
      {
        log,
        isBusy: () => false,
        kvOf: () => undefined,
        clock: new ManualClock(),
        models: this.models,
        discovery: {
          watch: (_prefix, listener) => {
            this.#listener = listener;
            return { ready: Promise.resolve(), close: () => {} };
          },
        },
        clientOf: (address) => this.#client(address),
        loadText: (entry) => {
          const done = Promise.withResolvers<TextModel>();
          this.loads.push({ entry, done });
          return done.promise;
        },
        served: () => {},
      },
    );
  }

  /** A worker's card and instance. @returns its card's key */
  put(id: bigint, card: CardEntry["card"], component = "c", suffix?: string): string {
    const entry = { address: { namespace: "ns", component, endpoint: "generate" }, instanceId: id as InstanceId, card };
    const key = cardKey(entry.address, entry.instanceId, suffix);
    this.#live = [...this.#live.filter((each) => each.instanceId !== id), { ...entry, transport: { kind: "nats", subject: "s" } }];
    this.#listener.put(key, encodeCardEntry(entry));
    return key;
  }

  putText(key: string, value: string): void {
    this.#listener.put(key, value);
  }

  delete(key: string): void {
    this.#listener.delete(key);
  }

  /** Ends the n-th load and all that follows from it. */
  async loaded(n: number, result: TextModel | Error = {} as TextModel): Promise<void> {
    await vi.waitFor(() => expect(this.loads.length).toBeGreaterThan(n));
    if (result instanceof Error) this.loads[n]!.done.reject(result);
    else this.loads[n]!.done.resolve(result);
    await vi.advanceTimersByTimeAsync(0);
  }

  names(): string[] {
    return this.models.list().map(({ name }) => name);
  }

  close(): void {
    this.#watcher.close();
  }

  #client(address: EndpointAddress): EndpointClient {
    const instances = { list: () => this.#live.filter((each) => each.address.component === address.component) };
    return { instances, close: () => this.closedClients.push(address.component) } as unknown as EndpointClient;
  }
}

describe("models from cards", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("are served when their files are loaded, and gone with their last card", async () => {
    const cluster = new Cluster();
    const first = cluster.put(1n, tokensCard("m"));
    expect(cluster.models.has("chat")).toBe(false);
    await cluster.loaded(0);
    const second = cluster.put(2n, tokensCard("m"));
    expect(cluster.names()).toEqual(["m"]);
    expect(cluster.models.find("m", "chat").available()).toEqual([1n, 2n]);
    cluster.delete(first);
    expect(cluster.models.find("m", "completion").available()).toEqual([2n]);
    cluster.delete(second);
    expect([cluster.names(), cluster.models.has("chat"), cluster.closedClients]).toEqual([[], false, ["c"]]);
    expect(cluster.loads.length).toBe(1);
  });

  it("load one after the other, and share what has the same files", async () => {
    const cluster = new Cluster();
    cluster.put(1n, tokensCard("a"), "c1");
    cluster.put(2n, tokensCard("b"), "c2");
    cluster.put(3n, tokensCard("d", { tokenizer: { hf_tokenizer_json: file("tokenizer.json", "9") } }), "c3");
    await vi.advanceTimersByTimeAsync(0);
    expect(cluster.loads.length).toBe(1);
    await cluster.loaded(0);
    expect(cluster.names()).toEqual(["a", "b"]);
    await cluster.loaded(1);
    expect(cluster.names()).toEqual(["a", "b", "d"]);
  });

  it("need no files when the worker takes text", async () => {
    const cluster = new Cluster();
    cluster.put(1n, { ...tokensCard("t"), model_input: "Text", model_info: null, tokenizer: null, prompt_formatter: null });
    await vi.advanceTimersByTimeAsync(0);
    expect([cluster.names(), cluster.loads.length]).toEqual([["t"], 0]);
  });

  it("that fail to load are tried again and hurt nobody else", async () => {
    const cluster = new Cluster();
    cluster.put(1n, tokensCard("bad", { tokenizer: { hf_tokenizer_json: file("tokenizer.json", "8") } }), "c1");
    cluster.put(2n, tokensCard("good"), "c2");
    await cluster.loaded(0, new Error("no such file"));
    await cluster.loaded(1);
    expect([cluster.names(), cluster.warnings]).toEqual([["good"], ["model cannot be loaded"]]);
    await vi.advanceTimersByTimeAsync(1000);
    await cluster.loaded(2);
    expect(cluster.names()).toEqual(["bad", "good"]);
  });

  it("ignore cards that cannot be read", async () => {
    const cluster = new Cluster();
    cluster.putText("v1/mdc/ns/c/generate/1", "{");
    cluster.putText("v1/mdc/ns/c/generate/2", '{"card_json":{"display_name":"x"}}');
    cluster.delete("v1/mdc/ns/c/generate/1");
    expect([cluster.names(), cluster.warnings]).toEqual([[], ["model card ignored", "model card ignored"]]);
  });

  it("leave a contradicting card waiting until the first ones are gone", async () => {
    const cluster = new Cluster();
    const first = cluster.put(1n, tokensCard("m"));
    await cluster.loaded(0);
    cluster.put(2n, tokensCard("m", { kv_cache_block_size: 64 }));
    expect(cluster.models.find("m", "chat").available()).toEqual([1n]);
    cluster.delete(first);
    await vi.advanceTimersByTimeAsync(0);
    expect(cluster.models.find("m", "chat").available()).toEqual([2n]);
    expect(cluster.models.find("m", "chat").card.kv_cache_block_size).toBe(64);
  });

  it("do not mind a difference of model types", async () => {
    const cluster = new Cluster();
    cluster.put(1n, tokensCard("m"));
    await cluster.loaded(0);
    cluster.put(2n, tokensCard("m", { model_type: "Chat" }));
    expect(cluster.models.find("m", "completion").available()).toEqual([1n, 2n]);
  });

  it("are not served when their cards went while they were loaded", async () => {
    const cluster = new Cluster();
    cluster.delete(cluster.put(1n, tokensCard("m")));
    await cluster.loaded(0);
    expect([cluster.names(), cluster.models.has("chat")]).toEqual([[], false]);
  });

  it("follow a card that changes under its key", async () => {
    const cluster = new Cluster();
    cluster.put(1n, tokensCard("old"));
    await cluster.loaded(0);
    cluster.put(1n, tokensCard("new"));
    await vi.advanceTimersByTimeAsync(0);
    expect(cluster.names()).toEqual(["new"]);
  });

  it("are known by their aliases too", async () => {
    const cluster = new Cluster();
    cluster.put(1n, tokensCard("m", { aliases: ["alias", "m"] }));
    await cluster.loaded(0);
    expect([cluster.names(), cluster.models.find("alias", "chat").name]).toEqual([["alias", "m"], "m"]);
  });

  it("of adapters are models of their own at the workers that have them", async () => {
    const cluster = new Cluster();
    cluster.put(1n, tokensCard("m"));
    cluster.put(2n, tokensCard("m"));
    await cluster.loaded(0);
    const adapter = cluster.put(2n, { ...tokensCard("m-poet"), lora: { name: "poet" } } as never, "c", "m-poet");
    await vi.advanceTimersByTimeAsync(0); // the same files: nothing is loaded again
    const set = cluster.models.find("m-poet", "chat");
    expect([set.loraName, set.available(), cluster.models.find("m", "chat").loraName]).toEqual(["poet", [2n], undefined]);
    cluster.delete(adapter);
    expect([cluster.names(), cluster.closedClients]).toEqual([["m"], []]);
  });

  it("of adapters without a name and of parts of a disaggregated deployment are not served", async () => {
    const cluster = new Cluster();
    cluster.put(1n, tokensCard("lora"), "c", "adapter");
    cluster.put(2n, tokensCard("decode", { needs: [["prefill"]] }));
    await vi.advanceTimersByTimeAsync(0);
    expect([cluster.names(), cluster.loads.length]).toEqual([[], 0]);
  });

  it.each([
    [{ exact: "other", prefix: undefined }, []],
    [{ exact: "ns", prefix: undefined }, ["m"]],
    [{ exact: "dynamo", prefix: undefined }, ["m"]],
    [{ exact: "other", prefix: "n" }, ["m"]],
    [{ exact: "ns", prefix: "x" }, []],
  ])("are those of the namespaces wanted: %o", async (filter, expected) => {
    const cluster = new Cluster(filter);
    cluster.put(1n, { ...tokensCard("m"), model_input: "Text" });
    await vi.advanceTimersByTimeAsync(0);
    expect(cluster.names()).toEqual(expected);
  });

  it("stop with the watcher", async () => {
    const cluster = new Cluster();
    cluster.put(1n, tokensCard("m"));
    await cluster.loaded(0);
    cluster.close();
    expect([cluster.names(), cluster.closedClients]).toEqual([[], ["c"]]);
  });
});
