// A restarted indexer: the snapshot, then what came after it. Never a block that may be gone.
import { captureStreamName, SnapshotStore } from "@mm-router/runtime";
import { type EndpointAddress, kvStreamName } from "@mm-router/protocol";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeSnapshot, encodeSnapshotFrame } from "@mm-router/kv-indexer";
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

const start = (address: EndpointAddress, servers: Servers = { nats, etcd }): Promise<TestIndexer> =>
  startTestIndexer(servers, address, { environment: { MMR_SNAPSHOT_INTERVAL_SECS: "600" } });

const restored = (indexer: TestIndexer): Promise<number> => indexer.metric('mm_router_indexer_snapshots_total{outcome="restored"}');

/** What an indexer leaves behind when it ends: an indexer that was killed later would have left the same. */
class Snapshots implements AsyncDisposable {
  readonly #runtime: Awaited<ReturnType<typeof connect>>;
  readonly #store: SnapshotStore;

  private constructor(runtime: Awaited<ReturnType<typeof connect>>, store: SnapshotStore) {
    this.#runtime = runtime;
    this.#store = store;
  }

  static async of(address: EndpointAddress, servers: Servers = { nats, etcd }): Promise<Snapshots> {
    const runtime = await connect(servers);
    const store = await SnapshotStore.open(await runtime.nats(), address, { bytesMax: 1024 * 1024, ageMaxS: 600 });
    return new Snapshots(runtime, store);
  }

  async read(): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await this.#store.read())!) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#store.write(
      (async function* () {
        yield bytes;
      })(),
    );
  }

  /** Moves the stored snapshot's positions forward: an indexer that begins with it misses the next message of each stream. */
  async skipOne(): Promise<void> {
    const bytes = await this.read();
    const chunks = async function* () {
      yield bytes;
    };
    const frames: Buffer[] = [];
    for await (const frame of decodeSnapshot(chunks())) {
      const positions = frame.kind === "head" ? frame.head.positions.map((at) => ({ ...at, sequence: at.sequence + 1 })) : [];
      frames.push(encodeSnapshotFrame(frame.kind === "head" ? { kind: "head", head: { ...frame.head, positions } } : frame));
    }
    await this.write(Buffer.concat(frames));
  }

  async purge(stream: string): Promise<void> {
    await (await this.#runtime.nats()).request(`$JS.API.STREAM.PURGE.${stream}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runtime[Symbol.asyncDispose]();
  }
}

/** Runs an indexer until it holds what the worker does, and ends it. */
async function leaveSnapshot(address: EndpointAddress, worker: ScriptedWorker, servers?: Servers): Promise<void> {
  await using first = await start(address, servers);
  await story(worker);
  await expectSame(first, worker);
}

describe.each<[string, Omit<WorkerOptions, "address">]>([
  ["0.9.1 as it comes (JetStream)", { release: "0.9.1", durable: true }],
  ["1.0.2", { release: "1.0.2" }],
  ["1.2.1 with durable events", { release: "1.2.1", durable: true }],
  ["1.6.1", { release: "1.6.1" }],
])("with a worker of %s", (_, options) => {
  it("a restart begins with the snapshot and reads what came after it", async () => {
    const address = freshAddress();
    await using worker = await ScriptedWorker.start({ nats, etcd }, { ...options, address });
    await leaveSnapshot(address, worker);
    await worker.remove(path(5));
    await worker.store(path(1, 2, 6));
    const asked = worker.asked.length;
    await using second = await start(address);
    await expectSame(second, worker);
    expect(await restored(second)).toBe(1);
    expect(worker.asked.slice(asked).map(({ start }) => start)).not.toContain(null); // no dump was needed
    await worker.store(path(7));
    await expectSame(second, worker);
  });

  it("a snapshot that several indexers go on from gives the same answers, however old it is", async () => {
    const address = freshAddress();
    await using snapshots = await Snapshots.of(address);
    await using worker = await ScriptedWorker.start({ nats, etcd }, { ...options, address });
    await leaveSnapshot(address, worker);
    const old = await snapshots.read();
    await using one = await start(address);
    await worker.remove(path(5));
    await worker.store(path(1, 2, 6));
    await expectSame(one, worker);
    await snapshots.write(old);
    await using two = await start(address);
    await worker.store(path(1, 9));
    await expectSame(one, worker);
    await expectSame(two, worker);
    const query = JSON.stringify({ model_name: "m", block_hashes: [1, 2, 6] });
    const answers = await Promise.all([one, two].map((indexer) => indexer.get("/query_by_hash", { method: "POST", body: query })));
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]!.body).toMatchObject({ scores: { [`${worker.id}`]: { 0: 48 } } });
  });
});

it("a worker that went while no indexer ran is not restored", async () => {
  const address = freshAddress();
  await using stays = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address });
  const goes = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address });
  {
    await using first = await start(address);
    for (const worker of [stays, goes]) await story(worker);
    for (const worker of [stays, goes]) await expectSame(first, worker);
  }
  await goes[Symbol.asyncDispose]();
  await using second = await start(address);
  await expectSame(second, stays);
  expect(await second.blocksOf(goes)).toEqual([]);
  expect(await second.metric("mm_router_indexer_blocks")).toBe(stays.truth.size.entries);
});

describe("where the events since the snapshot are gone", () => {
  it("a worker that can be asked is asked for them", async () => {
    const address = freshAddress();
    await using snapshots = await Snapshots.of(address);
    await using worker = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address });
    await leaveSnapshot(address, worker);
    await worker.remove(path(5));
    await snapshots.purge(captureStreamName(address));
    await using second = await start(address);
    await expectSame(second, worker);
    expect(await restored(second)).toBe(1);
  });

  it.each(["0.9.1", "1.2.1"])("the blocks of a worker of %s, which cannot be asked, are dropped", async (release) => {
    const address = freshAddress();
    await using snapshots = await Snapshots.of(address);
    await using worker = await ScriptedWorker.start({ nats, etcd }, { release, durable: true, address });
    await leaveSnapshot(address, worker);
    await worker.remove(path(5));
    await snapshots.purge(kvStreamName(address));
    await using second = await start(address);
    expect(await restored(second)).toBe(1);
    expect(await second.blocksOf(worker)).toEqual([]);
    await worker.store(path(8));
    await expect.poll(() => second.metric("mm_router_indexer_blocks"), { timeout: 30_000 }).toBe(1);
  });

  it("NATS was restarted meanwhile: ids of 0.9 tell of no loss, so its blocks are dropped; those of 1.2 stay until an id tells", async () => {
    await using own = await startNats();
    const servers = { nats: own, etcd };
    const [old, newer] = [freshAddress(), freshAddress()];
    await using of09 = await ScriptedWorker.start(servers, { release: "0.9.1", durable: true, address: old });
    await using of12 = await ScriptedWorker.start(servers, { release: "1.2.1", durable: true, address: newer });
    await leaveSnapshot(old, of09, servers);
    await leaveSnapshot(newer, of12, servers);
    await own.kill();
    await own.restart();
    await using second = await start(old, servers);
    expect(await restored(second)).toBe(1);
    expect(await second.blocksOf(of09)).toEqual([]);
    await using third = await start(newer, servers);
    expect(await third.blocksOf(of12)).not.toEqual([]);
    await expectSame(third, of12);
  });
});

describe.each(["1.0.2", "1.2.1"])("durable events of %s that the index missed", (release) => {
  it("are read from the stream once more, for that rank alone", async () => {
    const address = freshAddress();
    await using snapshots = await Snapshots.of(address);
    await using worker = await ScriptedWorker.start({ nats, etcd }, { release, durable: true, address, ranks: 2 });
    await leaveSnapshot(address, worker);
    await worker.remove(path(5));
    await worker.store(path(1, 2, 6));
    await worker.store(path(7), { rank: 1 });
    await snapshots.skipOne();
    await using second = await start(address);
    await expectSame(second, worker);
    expect(await second.metric('mm_router_indexer_recoveries_total{reason="gap",outcome="events"}')).toBe(1);
    await worker.store(path(1, 8));
    await expectSame(second, worker);
  });

  it("and are not there either: the rank's blocks are dropped, once, and later events rebuild them", async () => {
    const address = freshAddress();
    await using worker = await ScriptedWorker.start({ nats, etcd }, { release, durable: true, address, ranks: 2 });
    await using indexer = await start(address);
    await story(worker);
    await worker.store(path(3), { rank: 1 });
    await expectSame(indexer, worker);
    await worker.remove(path(5), { lost: true });
    await worker.store(path(8, 9));
    const ofRank = async (rank: number) => (await indexer.blocksOf(worker)).filter((row) => row.split(" ")[1] === `${rank}`).length;
    await expect.poll(() => ofRank(0), { timeout: 30_000 }).toBe(2);
    await worker.store(path(8, 10));
    await expect.poll(() => ofRank(0), { timeout: 30_000 }).toBe(3);
    expect(await ofRank(1)).toBe(1);
    expect(await indexer.metric('mm_router_indexer_recoveries_total{reason="gap",outcome="failed"}')).toBe(1);
  });
});

describe("a snapshot that is none", () => {
  it.each<[string, (bytes: Buffer) => Uint8Array]>([
    ["torn", (bytes) => bytes.subarray(0, bytes.length - 20)],
    ["without its foot", (bytes) => bytes.subarray(0, bytes.lastIndexOf('{"ranks"') - 8)],
    ["of another version", (bytes) => Buffer.from(bytes.toString("latin1").replace('"version":1', '"version":9'), "latin1")],
    ["of another component", (bytes) => Buffer.from(bytes.toString("latin1").replace('"backend"', '"backenb"'), "latin1")],
    ["noise", (bytes) => bytes.map((byte, at) => byte ^ ((at * 167) & 0xff))],
    ["empty", () => new Uint8Array()],
  ])("is ignored and counted when it is %s: the workers and the log tell everything", async (_, damage) => {
    const address = freshAddress();
    await using snapshots = await Snapshots.of(address);
    await using worker = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address });
    await leaveSnapshot(address, worker);
    const whole = await snapshots.read();
    await snapshots.write(damage(whole));
    await using second = await start(address);
    await expectSame(second, worker);
    expect(await restored(second)).toBe(0);
    expect(await second.metric('mm_router_indexer_snapshots_total{outcome="ignored"}')).toBeGreaterThan(0);
    expect(second.lines.some((line) => line.includes("snapshot is not usable"))).toBe(true);
  });
});
