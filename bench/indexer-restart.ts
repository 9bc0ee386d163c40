// How soon an indexer is whole again after kill -9, with a snapshot and without, and how fast it reads the log.
//
//   2 M blocks of 64 ranks in the log ─▶ indexer ─▶ snapshot ─▶ kill -9 ─▶ 1 024 more events ─▶ start ─▶ ready, all blocks there
//
//   npm run bench -- indexer-restart            2 000 000 blocks
//   npm run bench -- indexer-restart 200000     so many
//
// ready: from the start of the process until it serves, Node's own start included. CPU and peak memory are the process's (/proc). Goal: 5 s.
// The workers are records in etcd that nobody can ask, so the log and the snapshot are all there is.
import assert from "node:assert";
import {
  type BlockHash,
  dialectOf,
  encodeEnvelope,
  encodeEventPayloads,
  encodeInstance,
  eventScopeOf,
  eventSubject,
  type ExternalHash,
  type InstanceId,
  instanceKey,
  routerEventFor,
} from "@mm-router/protocol";
import { type Child, freePort, startChild } from "@mm-router/runtime";
import { commandLine } from "@mm-router/testkit";
import { cpuMsOf, peakMibOf } from "./support/process-cost.ts";
import { benchStack, until } from "./support/stack.ts";

const blocks = Number(process.argv[2] ?? 2_000_000);
const blocksPerEvent = 64;
const workers = 8;
const ranksPerWorker = 8;
const tailEvents = 1_024;
const dialect = dialectOf("1.6.1");
const address = { namespace: "bench", component: "backend", endpoint: "generate" };

await using stack = await benchStack("nats");
const runtime = await stack.connect();
const nats = await runtime.nats();
const workerIds = Array.from({ length: workers }, (_, i) => ((1n << 62n) + BigInt(i)) as InstanceId);
for (const instanceId of workerIds) {
  const instance = { address, instanceId, transport: { kind: "nats" as const, subject: "nobody" } };
  await runtime.discovery.register(() => ({ key: instanceKey(address, instanceId), value: encodeInstance(instance) }));
}

const rows: Record<string, string | number>[] = [];
let indexer = await started(1);
let published = 0;
const publishedIn = await publish(blocks / blocksPerEvent);
await until("all blocks in the index", async () => (await metric(indexer, "mm_router_indexer_blocks")) === published * blocksPerEvent);
rows.push({ start: "empty, fed while it runs", "ready s": (publishedIn / 1000).toFixed(1), ...costOf(indexer) });
for (let round = 0; round < 2; round++) await nextSnapshot(); // the first may have been begun too early

await kill(indexer);
await publish(tailEvents);
rows.push(await restart("snapshot and later events", 600));
rows.push(await restart("log alone", 0));
console.table(rows);
await kill(indexer);

/** Resolves with the end of a snapshot after something happened. */
async function nextSnapshot(): Promise<void> {
  const written = 'mm_router_indexer_snapshots_total{outcome="written"}';
  const before = await metric(indexer, written);
  await publish(1);
  await until("a snapshot", async () => (await metric(indexer, written)) > before);
}

async function restart(name: string, snapshotIntervalS: number): Promise<Record<string, string | number>> {
  if (indexer.child.running) await kill(indexer);
  const from = performance.now();
  indexer = await started(snapshotIntervalS);
  const readyMs = performance.now() - from;
  assert.equal(await metric(indexer, "mm_router_indexer_blocks"), published * blocksPerEvent, name);
  assert.equal(await metric(indexer, 'mm_router_indexer_snapshots_total{outcome="restored"}'), snapshotIntervalS === 0 ? 0 : 1);
  return { start: name, "ready s": (readyMs / 1000).toFixed(1), ...costOf(indexer) };
}

interface Started {
  readonly child: Child;
  readonly url: string;
}

/** Resolves when it serves. */
async function started(snapshotIntervalS: number): Promise<Started> {
  const port = await freePort();
  const place = ["--namespace", address.namespace, "--component", address.component, "--block-size", "32"];
  const environment = {
    ...stack.environment,
    MMR_SNAPSHOT_INTERVAL_SECS: `${snapshotIntervalS}`,
    MMR_EVENT_STREAM_MB_MAX: "1024",
    MMR_INDEXER_READY_DEADLINE_SECS: "60",
  };
  const args = [commandLine, "indexer", ...place, "--http-host", "127.0.0.1", "--http-port", `${port}`];
  const child = startChild({ name: "mmr indexer", command: process.execPath, args, environment });
  const url = `http://127.0.0.1:${port}`;
  await until("the indexer to serve", async () => {
    assert(child.running, child.lastLines().join("\n"));
    return await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  });
  return { child, url };
}

async function kill({ child }: Started): Promise<void> {
  child.signalGroup("SIGKILL");
  await child.exit;
}

function costOf({ child }: Started): Record<string, string | number> {
  const pid = child.pid!;
  return { "cpu s": (cpuMsOf(pid) / 1000).toFixed(1), "peak MiB": peakMibOf(pid).toFixed(0) };
}

async function metric({ url }: Started, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  return Number(line?.split(" ").at(-1) ?? 0);
}

/** Publishes that many events more, round the ranks, each a path of its own; resolves with the ms until all are stored. */
async function publish(events: number): Promise<number> {
  const from = performance.now();
  const subject = eventSubject(dialect.eventNaming, eventScopeOf(dialect.eventNaming, address, "kv-events"), "kv-events");
  for (let at = 0; at < events; ) {
    const batch: Promise<unknown>[] = [];
    for (; batch.length < 256 && at < events; at++) batch.push(nats.request(subject, messageOf(published++), { timeout: 20_000 }));
    await Promise.all(batch);
  }
  return performance.now() - from;
}

function messageOf(number: number): Uint8Array {
  const rank = number % (workers * ranksPerWorker);
  const worker = { workerId: workerIds[Math.floor(rank / ranksPerWorker)]!, dpRank: rank % ranksPerWorker };
  const sequence = BigInt(Math.floor(number / (workers * ranksPerWorker)));
  const hash = (at: number): bigint => BigInt.asUintN(64, BigInt(number * blocksPerEvent + at + 1) * 0x9e37_79b9_7f4a_7c15n);
  const stored = Array.from({ length: blocksPerEvent }, (_, at) => ({
    block_hash: hash(at) as ExternalHash,
    tokens_hash: (hash(at) ^ 1n) as BlockHash,
  }));
  const event = routerEventFor(dialect, worker, 1n + sequence, { stored: { parent_hash: null, blocks: stored } });
  const [payload] = encodeEventPayloads(dialect, [event]) as [Uint8Array];
  return encodeEnvelope({ publisher_id: 1n + BigInt(rank), sequence, published_at: 0n, topic: "kv-events", payload });
}
