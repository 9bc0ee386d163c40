// The indexer over real NATS and etcd, before workers of every release: it holds what they hold, whatever gets lost on the way.
import { randomUUID } from "node:crypto";
import {
  decodeIndexerAnswer,
  decodeLookupAnswer,
  encodeIndexerBatch,
  encodeIndexerQuery,
  encodeLookup,
  type EndpointAddress,
  type IndexerAnswer,
  indexLookupEndpoint,
  kvStreamName,
} from "@mm-router/protocol";
import { captureStreamName, type RequestPlaneConfig } from "@mm-router/runtime";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, freshAddress, ScriptedWorker, type Servers, type WorkerOptions } from "./scripted-worker.ts";
import { expectSame, path, startTestIndexer, story, type TestIndexer } from "./test-indexer.ts";

let nats: NatsServer;
let etcd: EtcdServer;

beforeAll(async () => {
  [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
});

afterAll(async () => {
  await Promise.all([nats?.stop(), etcd?.stop()]);
});

const startIndexer = (address: EndpointAddress, servers: Servers = { nats, etcd }, flags: readonly string[] = []): Promise<TestIndexer> =>
  startTestIndexer(servers, address, { flags });

describe.each<[string, Omit<WorkerOptions, "address">]>([
  ["0.9.1 as it comes (JetStream)", { release: "0.9.1", durable: true }],
  ["0.9.1 with its local index", { release: "0.9.1" }],
  ["1.0.2", { release: "1.0.2", ranks: 2 }],
  ["1.0.2 with durable events", { release: "1.0.2", durable: true }],
  ["1.2.1", { release: "1.2.1", ranks: 2 }],
  ["1.4.2", { release: "1.4.2", ranks: 2 }],
  ["1.6.1 over TCP", { release: "1.6.1", ranks: 2, plane: "tcp" }],
])("a worker of %s", (_, options) => {
  const start = async () => {
    const address = freshAddress();
    return { address, worker: await ScriptedWorker.start({ nats, etcd }, { ...options, address }) };
  };

  it("is followed from its first event on", async () => {
    const { address, worker } = await start();
    await using _ = worker;
    await using indexer = await startIndexer(address);
    await story(worker);
    await expectSame(indexer, worker);
  });

  it("is known to an indexer that comes later, and to one that comes back", async () => {
    const { address, worker } = await start();
    await using _ = worker;
    {
      await using first = await startIndexer(address);
      await story(worker);
      await expectSame(first, worker);
    }
    await worker.store(path(7, 8));
    await using second = await startIndexer(address);
    await expectSame(second, worker);
    await worker.store(path(7, 9));
    await expectSame(second, worker);
  });

  it("gets equal answers of two indexers that have read as far, whenever they came", async () => {
    const { address, worker } = await start();
    await using _ = worker;
    await using one = await startIndexer(address);
    await story(worker);
    await using two = await startIndexer(address);
    for (const tokens of [path(7, 8), path(7, 8, 9), path(1, 2, 6)]) await worker.store(tokens);
    await worker.remove(path(7, 8, 9));
    const answersOf = async ({ get, metric }: TestIndexer): Promise<unknown[]> => {
      const asked = [[1, 2, 3], [1, 2, 6], [7, 8, 9], [5]].map((hashes) => JSON.stringify({ model_name: "m", block_hashes: hashes }));
      const answers = await Promise.all(asked.map((body) => get("/query_by_hash", { method: "POST", body })));
      return [await metric("mm_router_indexer_log_lag_messages"), ...answers.map(({ body }) => body)];
    };
    for (const indexer of [one, two]) await expectSame(indexer, worker);
    const answers = await answersOf(one);
    expect(answers[0]).toBe(0);
    expect(await answersOf(two)).toEqual(answers);
    expect(answers.slice(1, 4)).toEqual(
      Array(3).fill({
        scores: expect.objectContaining({ [`${worker.id}`]: expect.anything() }),
        frequencies: [],
        instances: expect.anything(),
      }),
    );
  });

  it("leaves nothing behind when it goes", async () => {
    const { address, worker } = await start();
    await using indexer = await startIndexer(address);
    await story(worker);
    await expectSame(indexer, worker);
    await worker[Symbol.asyncDispose]();
    await expect.poll(() => indexer.get("/workers"), { timeout: 30_000 }).toMatchObject({ body: [] });
    expect(await indexer.metric("mm_router_indexer_blocks")).toBe(0);
  });
});

describe.each<[string, Omit<WorkerOptions, "address">]>([
  ["1.0.2", { release: "1.0.2", ranks: 2 }],
  ["1.2.1", { release: "1.2.1", ranks: 2 }],
  ["1.4.2", { release: "1.4.2", ranks: 2 }],
  ["1.6.1", { release: "1.6.1", ranks: 2 }],
])("lost events of a worker of %s", (_, options) => {
  it("are asked of it: a few as events, many as a dump, each rank for itself", async () => {
    const address = freshAddress();
    await using worker = await ScriptedWorker.start({ nats, etcd }, { ...options, address });
    await using indexer = await startIndexer(address);
    await story(worker);
    await worker.store(path(1), { rank: 1 });
    await expectSame(indexer, worker);
    await worker.store(path(6, 7), { lost: true });
    await worker.remove(path(5), { lost: true });
    await worker.store(path(8));
    await expectSame(indexer, worker);
    for (let i = 0; i < 40; i++) await worker.store(path(2, i), { rank: 1, lost: true });
    await worker.remove(path(1), { rank: 1, lost: true });
    await worker.store(path(9), { rank: 1 });
    await expectSame(indexer, worker);
    await worker.repeat(0);
    await worker.store(path(10));
    await expectSame(indexer, worker);
    expect(await indexer.metric('mm_router_indexer_events_total{outcome="duplicate"}')).toBeGreaterThan(0);
  });
});

it("drops the blocks of a durable worker when events are missing, and builds up again", async () => {
  const address = freshAddress();
  await using worker = await ScriptedWorker.start({ nats, etcd }, { release: "1.2.1", durable: true, address });
  await using indexer = await startIndexer(address);
  await story(worker);
  await expectSame(indexer, worker);
  await worker.remove(path(5), { lost: true });
  await worker.store(path(8, 9));
  await expect
    .poll(async () => new Set((await indexer.blocksOf(worker)).map((row) => row.split(" ").at(-1))), { timeout: 30_000 })
    .toEqual(new Set(["8", "9"]));
});

it("makes the log of events larger when workers with large caches come", async () => {
  const address = freshAddress();
  await using small = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address });
  await using indexer = await startIndexer(address);
  await expectSame(indexer, small);
  await using observer = await connect({ nats, etcd });
  const publishing = await observer.nats();
  const bytesMax = async () => (await publishing.request(`$JS.API.STREAM.INFO.${captureStreamName(address)}`)).json<any>().config.max_bytes;
  expect(await bytesMax()).toBe(256 * 1024 * 1024);
  await using large = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address, poolBlocks: 700_000 });
  await expectSame(indexer, large);
  await expect.poll(bytesMax, { timeout: 30_000, interval: 100 }).toBe(700_000 * 512);
});

it("reads the stream of durable workers without purging it", async () => {
  const address = freshAddress();
  await using worker = await ScriptedWorker.start({ nats, etcd }, { release: "0.9.1", durable: true, address });
  await story(worker);
  await using indexer = await startIndexer(address);
  await expectSame(indexer, worker);
  await using observer = await connect({ nats, etcd });
  const info = await (await observer.nats()).request(`$JS.API.STREAM.INFO.${kvStreamName(address)}`);
  expect(info.json()).toMatchObject({ state: { messages: 4, first_seq: 1 } });
});

it("serves what it has while a worker does not answer, and drops nothing but that worker's blocks", async () => {
  const address = freshAddress();
  await using silent = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address });
  await using other = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address });
  await using indexer = await startIndexer(address);
  await story(silent);
  await story(other);
  await expectSame(indexer, silent);
  await expectSame(indexer, other);
  silent.silent = true;
  await silent.store(path(8), { lost: true });
  await silent.store(path(9));
  await expect.poll(() => silent.asked.length, { timeout: 30_000 }).toBeGreaterThan(2);
  await other.store(path(9));
  await expectSame(indexer, other);
  silent.silent = false;
  await expectSame(indexer, silent);
});

it("counts what is no event or nobody's, and goes on", async () => {
  const address = freshAddress();
  await using worker = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address });
  await using foreign = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address: freshAddress() });
  await using indexer = await startIndexer(address);
  await using observer = await connect({ nats, etcd });
  const publishing = await observer.nats();
  const subject = `namespace.${address.namespace}.component.${address.component}.endpoint.generate.kv-events`;
  for (const bytes of ["", "{", "nonsense", "\x85"]) publishing.publish(subject, bytes);
  publishing.publish(subject, `{"worker_id":${foreign.id},"event":{"event_id":1,"data":"cleared","dp_rank":0}}`);
  await publishing.flush();
  await story(worker);
  await expectSame(indexer, worker);
  expect(await indexer.metric("mm_router_indexer_undecodable_messages_total")).toBe(4);
  expect(indexer.lines.filter((line) => line.includes("message is no KV event"))).toHaveLength(1);
});

describe("when servers go away", () => {
  it.each([
    ["kept", {}],
    ["wiped", { wipe: true }],
  ])("NATS comes back with its store %s: the index is right again without a restart", async (_, options) => {
    await using own = await startNats();
    const servers = { nats: own, etcd };
    const address = freshAddress();
    await using worker = await ScriptedWorker.start(servers, { release: "1.6.1", address });
    await using indexer = await startIndexer(address, servers);
    await story(worker);
    await expectSame(indexer, worker);
    await own.kill();
    await worker.store(path(8), { lost: true });
    await own.restart(options);
    await worker.remove(path(5));
    await expectSame(indexer, worker);
  });
});

async function lookUp(
  address: EndpointAddress,
  modelName: string,
  hashes: bigint[],
  plane: RequestPlaneConfig["plane"],
): Promise<IndexerAnswer> {
  await using runtime = await connect({ nats, etcd }, plane);
  const client = runtime.endpoint({ ...address, endpoint: indexLookupEndpoint }).client();
  await expect.poll(() => client.instances.list().length, { timeout: 30_000 }).toBe(1);
  return decodeLookupAnswer(await client.ask(encodeLookup({ modelName, blockHashes: BigUint64Array.from(hashes) })));
}

describe("kv_indexer_query, and kv_indexer_lookup as its short form", () => {
  async function ask(
    address: EndpointAddress,
    model: string,
    hashes: bigint[],
    plane: RequestPlaneConfig["plane"] = "nats",
  ): Promise<IndexerAnswer> {
    const answers = await answersTo(
      address,
      encodeIndexerQuery("json", { modelName: model, blockHashes: BigUint64Array.from(hashes) }),
      plane,
    );
    expect(answers).toHaveLength(1);
    return answers[0]!;
  }

  async function answersTo(address: EndpointAddress, body: Buffer, plane: RequestPlaneConfig["plane"] = "nats"): Promise<IndexerAnswer[]> {
    await using runtime = await connect({ nats, etcd }, plane);
    const client = runtime.endpoint({ ...address, endpoint: "kv_indexer_query" }).client();
    await expect.poll(() => client.instances.list().length, { timeout: 30_000 }).toBe(1);
    const stream = await client.roundRobin({ contextId: randomUUID(), body, signal: AbortSignal.timeout(5_000) });
    const frames: Buffer[] = [];
    for await (const bodies of stream) frames.push(...bodies);
    return frames.map((frame) => decodeIndexerAnswer("json", frame));
  }

  it("answers a batch with one frame per query, in order", async () => {
    const address = freshAddress();
    await using worker = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address, model: "m" });
    await using indexer = await startIndexer(address);
    await worker.store(path(1, 2, 3));
    await expectSame(indexer, worker);
    const query = (modelName: string, ...tokens: number[]) => ({ modelName, blockHashes: BigUint64Array.from(path(...tokens)) });
    const answers = await answersTo(
      address,
      encodeIndexerBatch("json", [query("m", 1, 2), query("other", 1), query("m", 9), query("m", 1, 2, 3)]),
    );
    const scores = (...blocks: number[]) => ({
      kind: "scores",
      scores: blocks.map((n) => ({ worker: { workerId: worker.id, dpRank: 0 }, blocks: n })),
    });
    expect(answers).toMatchObject([scores(2), { kind: "error" }, scores(), scores(3)]);
    expect(await indexer.metric('mm_router_indexer_queries_total{outcome="scores"}')).toBe(3);
    expect(await indexer.metric("mm_router_indexer_log_lag_messages")).toBe(0);
    expect(await indexer.metric(`mm_router_indexer_rank_silence_seconds{worker_id="${worker.id}",dp_rank="0"}`)).toBeGreaterThan(0);
  });

  it.each<[RequestPlaneConfig["plane"]]>([["nats"], ["tcp"]])(
    "answers over %s for every model served there, with the blocks of its workers alone",
    async (plane) => {
      const address = freshAddress();
      await using one = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address, model: "m", ranks: 2 });
      await using two = await ScriptedWorker.start({ nats, etcd }, { release: "1.0.2", address, model: "n" });
      await using indexer = await startIndexer(address, { nats, etcd }, ["--request-plane", plane]);
      await one.store(path(1, 2, 3), { rank: 1 });
      await two.store(path(1, 2));
      await expectSame(indexer, one);
      await expectSame(indexer, two);
      const scores = (worker: ScriptedWorker, dpRank: number, blocks: number) => ({
        kind: "scores",
        scores: [{ worker: { workerId: worker.id, dpRank }, blocks }],
      });
      expect(await ask(address, "m", path(1, 2, 3, 4), plane)).toEqual(scores(one, 1, 3));
      expect(await ask(address, "n", path(1, 2, 3, 4), plane)).toEqual(scores(two, 0, 2));
      expect(await ask(address, "n", path(), plane)).toEqual({ kind: "scores", scores: [] });
      expect(await ask(address, "o", path(1), plane)).toEqual({ kind: "error", message: "served indexer model o is not registered" });
      for (const [model, hashes] of [
        ["m", path(1, 2, 3, 4)],
        ["n", path(1, 2)],
        ["n", path()],
        ["o", path(1)],
      ] as const)
        expect(await lookUp(address, model, hashes, plane)).toEqual(await ask(address, model, hashes, plane));
    },
  );
});

it("tells over HTTP who its workers are and how fresh they are", async () => {
  const address = freshAddress();
  await using worker = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address });
  await using indexer = await startIndexer(address);
  await story(worker);
  await expectSame(indexer, worker);
  expect(await indexer.get("/health")).toEqual({ status: 200, body: "" });
  expect((await indexer.get("/nothing")).status).toBe(404);
  const { body } = await indexer.get("/workers");
  expect(body).toMatchObject([
    {
      instance_id: worker.id,
      status: "active",
      model_name: "m",
      routing_group: "default",
      block_size: 16,
      ranks: { 0: { blocks: 4, state: "live", last_event_id: 4 } },
    },
  ]);
  expect(await indexer.metric("mm_router_indexer_blocks")).toBe(4);
  const query = (path: string, body: string) => indexer.get(path, { method: "POST", body });
  expect(await query("/query_by_hash", '{"model_name":"m","block_hashes":[1,2,4]}')).toMatchObject({
    status: 200,
    body: { scores: { [`${worker.id}`]: { 0: 48 } } },
  });
  expect((await query("/query", '{"model_name":"n","token_ids":[1]}')).status).toBe(404);
});
