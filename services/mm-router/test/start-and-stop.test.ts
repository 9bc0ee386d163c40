// How mm-router comes and goes: what it waits for, what it registers, what it leaves behind.
import { AppError, decodeCardEntry } from "@mm-router/protocol";
import { etcdEntries } from "@mm-router/testkit";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fact, itemsOf, RouterCell, says, textRequest } from "./router-cell.ts";

let servers: { nats: NatsServer; etcd: EtcdServer };

beforeAll(async () => {
  const [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
  servers = { nats, etcd };
});

afterAll(async () => {
  await Promise.all([servers?.nats.stop(), servers?.etcd.stop()]);
});

/** The records of the endpoint that frontends call. */
const generateRecords = async (cell: RouterCell) => (await ownRecords(cell)).filter(({ key }) => key.includes("/mm_router/generate/"));

const ownRecords = async ({ namespace }: RouterCell, etcdUrl = servers.etcd.url) => {
  const entries = await Promise.all(["instances", "mdc"].map((room) => etcdEntries(etcdUrl, `v1/${room}/${namespace}/mm_router/`)));
  return entries.flat();
};

describe("starting", () => {
  it("waits for a worker, then registers an instance and a card under one lease", async () => {
    await using cell = new RouterCell(servers);
    const { started, lines } = cell.startRouter();
    await fact(() => lines.some(({ msg }) => msg === "waiting for workers"));
    expect(await ownRecords(cell)).toEqual([]);
    await cell.worker(says(1), { card: { context_length: 4096, runtime_config: { tool_call_parser: "hermes" } } });
    await started;
    const [instance, card] = await generateRecords(cell);
    expect(instance?.lease).toBe(card?.lease);
    const entry = decodeCardEntry(card!.key, card!.value);
    expect(entry.instanceId).toBe(card!.lease);
    expect(entry.card).toMatchObject({
      display_name: "m",
      model_type: "Chat | Completions",
      model_input: "Tokens",
      context_length: 4096,
      kv_cache_block_size: 32,
      runtime_config: { tool_call_parser: "hermes" },
      media_decoder: null,
    });
  });

  it("publishes equal cards from two replicas", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker(says(1));
    await Promise.all([cell.router(), cell.router()]);
    const cards = (await ownRecords(cell))
      .filter(({ key }) => key.startsWith("v1/mdc"))
      .map(({ key, value }) => decodeCardEntry(key, value).card);
    expect(cards.length).toBe(2);
    expect(cards[0]).toEqual(cards[1]);
  });

  it("takes the one component that serves the model when nobody is under the default, and says so", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker(says(9), { component: "backend" });
    const { lines } = await cell.router();
    expect((await cell.items(textRequest(4)))[0]?.data).toEqual({ token_ids: [9], index: 0 });
    expect(lines.find(({ level }) => level === "warn")).toMatchObject({ wanted: "trtllm", component: "backend" });
  });

  it("refuses to start when all workers have another block size, and says what to do", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker(says(1), { card: { kv_cache_block_size: 64 } });
    const error = await cell.router().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ code: "configuration", message: expect.stringContaining("--block-size 64") });
    expect(await ownRecords(cell)).toEqual([]);
  });

  it("balances a single worker with another block size by load, with one warning", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker(says(1));
    await cell.worker(says(1), { card: { kv_cache_block_size: 64 } });
    const { lines, metrics } = await cell.router();
    await cell.items(textRequest(70));
    expect(lines.filter(({ level, theirs }) => level === "warn" && theirs === 64).length).toBe(1);
    expect(await metrics.text()).toContain('mm_router_degraded_total{reason="block-size"} 1');
  });
});

describe("staying", () => {
  it("has both records again, and workers, after etcd lost everything", async () => {
    await using etcd = await startEtcd();
    await using cell = new RouterCell({ nats: servers.nats, etcd });
    await cell.worker(says(1));
    await cell.router();
    expect((await cell.items(textRequest(4))).length).toBe(1);
    await etcd.restart({ wipe: true });
    await fact(async () => {
      const keys = (await ownRecords(cell, etcd.url)).map(({ key }) => key).filter((key) => key.includes("/generate/"));
      return keys.length === 2 && new Set(keys.map((key) => key.slice(key.lastIndexOf("/")))).size === 1;
    });
    await fact(async () => (await cell.items(textRequest(4)).catch(() => []))[0]?.data !== undefined);
  });

  it("serves on after NATS was restarted", async () => {
    await using nats = await startNats();
    await using cell = new RouterCell({ nats, etcd: servers.etcd });
    await cell.worker(says(1));
    await cell.router();
    await nats.restart();
    await fact(async () => (await cell.items(textRequest(4)).catch(() => []))[0]?.data !== undefined);
  });
});

describe("leaving", () => {
  it("takes its records away first and lets running requests end", async () => {
    await using cell = new RouterCell(servers);
    const go = Promise.withResolvers<void>();
    await cell.worker(async (_request, sink) => {
      await sink.item({ data: { token_ids: [1] } });
      await go.promise;
      await sink.item({ data: { token_ids: [2] } });
    });
    const { service } = await cell.router();
    const stream = await cell.call(textRequest(4));
    const closing = service.close();
    await fact(async () => (await ownRecords(cell)).length === 0);
    go.resolve();
    expect((await itemsOf(stream)).length).toBe(2);
    await closing;
  });
});
