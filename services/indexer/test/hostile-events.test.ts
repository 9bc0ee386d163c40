// Hostile messages on the workers' subject, among real ones, some of which come in the wrong order: counted by reason, never applied in part, the index right, the memory flat.
//
//   MMR_TEST_FUZZED=200000 npm test -- --project integration services/indexer/test/hostile-events.test.ts          the long form
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  dialectOf,
  encodeEnvelope,
  encodeEventPayloads,
  eventScopeOf,
  eventSubject,
  type InstanceId,
  type KvEventData,
  routerEventFor,
} from "@mm-router/protocol";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connect, freshAddress, ScriptedWorker } from "./scripted-worker.ts";
import { expectSame, path, startTestIndexer, type TestIndexer } from "./test-indexer.ts";

const fuzzed = Number(process.env.MMR_TEST_FUZZED ?? 6_000);
const batch = 500;
/** Real events before the first hostile message. */
const stored = 30;
const heapGrowthMibMax = 24;

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

let nats: NatsServer;
let etcd: EtcdServer;

beforeAll(async () => {
  [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
});

afterAll(async () => {
  await Promise.all([nats?.stop(), etcd?.stop()]);
});

/** The same numbers in every run. */
class Dice {
  #state = 7;

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }
}

const dialect = dialectOf("1.6.1");
const dice = new Dice();

function message(workerId: bigint, dpRank: number, eventId: bigint, data: KvEventData): Buffer {
  const event = routerEventFor(dialect, { workerId: workerId as InstanceId, dpRank }, eventId, data);
  const [payload] = encodeEventPayloads(dialect, [event]) as [Uint8Array];
  return Buffer.from(encodeEnvelope({ publisher_id: 1n, sequence: 0n, published_at: 0n, topic: "kv-events", payload }));
}

const storing = (blocks: number): KvEventData => {
  const hash = () => BigInt(dice.below(2 ** 32)) as never;
  return { stored: { parent_hash: null, blocks: Array.from({ length: blocks }, () => ({ block_hash: hash(), tokens_hash: hash() })) } };
};

const foreignId = 99n;
const oversized = message(foreignId, 0, 1n, storing(1_000));

/** What an attacker sends; `good` is a message that a live worker sent before. */
type Attack = (good: Buffer) => Buffer;

const attacks: Readonly<Record<string, Attack>> = {
  noise: () => Buffer.from(Array.from({ length: dice.below(64) }, () => dice.below(256))),
  "JSON that ends early": () => Buffer.from(`{"worker_id":1,"event":${"[".repeat(dice.below(200))}`),
  truncated: (good) => good.subarray(0, dice.below(good.length)),
  "a length beyond the end": (good) => {
    const bytes = Buffer.from(good);
    bytes.writeUInt8(0xdd, bytes.length - 1 - dice.below(20));
    return bytes;
  },
  oversized: () => oversized,
  "deeply nested": () => Buffer.alloc(2_000, 0x91),
  replayed: (good) => good,
  "of a foreign worker": () => message(foreignId + BigInt(dice.below(1_000)), dice.below(4), 1n, storing(3)),
  "of another topic": () =>
    Buffer.from(encodeEnvelope({ publisher_id: 1n, sequence: 0n, published_at: 0n, topic: "x", payload: Buffer.from("y") })),
};

it(`${fuzzed} hostile messages: counted by reason, none applied in part, the index right, the memory flat`, {
  timeout: 60_000 + 5 * fuzzed,
}, async () => {
  const address = freshAddress();
  await using worker = await ScriptedWorker.start({ nats, etcd }, { release: "1.6.1", address });
  await using indexer = await startTestIndexer({ nats, etcd }, address);
  await using attacker = await connect({ nats, etcd });
  const publishing = await attacker.nats();
  const subject = eventSubject(dialect.eventNaming, eventScopeOf(dialect.eventNaming, address, "kv-events"), "kv-events");
  const heard: Buffer[] = [];
  publishing.subscribe(subject, { callback: (_, { data }) => void (heard.length < 100 && heard.push(Buffer.from(data))) });
  await publishing.flush();
  for (let i = 1; i <= stored; i++) await worker.store(path(i, i + 1));
  await expectSame(indexer, worker);
  const own = [...heard];
  const before = await counted(indexer);
  const kinds = Object.values(attacks);
  let heapMib = 0;
  let batches = 0;
  for (let sent = 0; sent < fuzzed; ) {
    for (let i = 0; i < batch && sent < fuzzed; i++, sent++)
      publishing.publish(subject, kinds[sent % kinds.length]!(own[sent % own.length]!));
    await publishing.flush();
    batches++;
    await worker.store(path(1_000 + (sent % 7), sent)); // the real ones go on
    await worker.store(path(2_000), { lost: true });
    await worker.remove(path(2_000), { lost: true });
    for (const late of [1, 0]) await worker.repeat(stored + 3 * (batches - 1) + 1 + late); // in the wrong order
    const newest = BigInt(stored + 3 * batches);
    await expect.poll(() => settledAt(indexer), { timeout: 30_000, interval: 20 }).toBe(newest);
    if (sent <= fuzzed / 4) heapMib = heapNow();
  }
  await expectSame(indexer, worker);
  const changes = async () => {
    const after = await counted(indexer);
    const changed = Object.keys(after).map((reason) => [reason, after[reason]! - (before[reason] ?? 0)] as const);
    return Object.fromEntries(changed.filter(([, count]) => count > 0));
  };
  const total = async () => Object.values(await changes()).reduce((sum, count) => sum + count, 0);
  await expect.poll(total, { timeout: 30_000, interval: 200 }).toBe(fuzzed + 5 * batches); // those that wait for their worker are counted last
  const reasons = await changes();
  console.info(`hostile: ${JSON.stringify(reasons)}`);
  expect(reasons).toMatchObject({ applied: 3 * batches, duplicate: kindsOf("replayed") + 2 * batches });
  expect(reasons["undecodable"]! + reasons["foreign"]! + (reasons["early_overflow"] ?? 0)).toBe(fuzzed - kindsOf("replayed"));
  expect(reasons["undecodable"]).toBeGreaterThanOrEqual(5 * kindsOf("noise"));
  expect(await indexer.blocksOf(worker)).toHaveLength(worker.truth.size.entries);
  expect(await indexer.metric("mm_router_indexer_blocks")).toBe(worker.truth.size.entries);
  expect(heapNow() - heapMib).toBeLessThan(heapGrowthMibMax);
});

/** The last event of the only rank; undefined while it is asked for. */
async function settledAt(indexer: TestIndexer): Promise<bigint | undefined> {
  const [{ ranks }] = (await indexer.get("/workers")).body;
  return ranks[0].state === "live" ? BigInt(ranks[0].last_event_id) : undefined;
}

/** How many of a kind are sent, in turns. */
function kindsOf(name: string): number {
  const kinds = Object.keys(attacks);
  return Math.ceil((fuzzed - kinds.indexOf(name)) / kinds.length);
}

/** MiB of heap and array buffers after a collection. */
function heapNow(): number {
  gc();
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 2 ** 20;
}

/** Messages and events by what became of them. */
async function counted(indexer: TestIndexer): Promise<Record<string, number>> {
  const { body } = await indexer.get("/metrics");
  const rows = (body as string).matchAll(/^mm_router_indexer_(?:events_total\{outcome="(\w+)"\}|(undecodable)_messages_total) (\d+)$/gm);
  return Object.fromEntries(Array.from(rows, ([, outcome, undecodable, count]) => [outcome ?? undecodable!, Number(count)]));
}
