// What we tell other routers, held against what real routers of each release tell of the same request.
import { type BookingObserver, LocalScheduler } from "@mm-router/kv";
import {
  decodeActiveSequences,
  decodeEnvelope,
  decodeMsgpack,
  dialectOf,
  encodeInstance,
  type InstanceId,
  instanceKey,
} from "@mm-router/protocol";
import type { EventSource, EventSourceItem, WatchListener } from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { idOf, silentLog } from "../testing.ts";
import { ReplicaSync, sequenceSubjects } from "./replica-sync.ts";
import { SequencePublishers } from "./sequence-publishers.ts";

interface Message {
  readonly subject: string;
  readonly hex: string;
}

const oneRequest = "one request, tokens 0..11, block size 4";
const { runs } = golden<{ runs: { release: string; [oneRequest]: Message[] }[] }>("kv/load-and-sync.json");
const sequenceMessages = (messages: readonly Message[]): Message[] =>
  messages.filter(({ subject }) => subject.endsWith(".active_sequences_events"));

/** The first three local block hashes of tokens 0..11, block size 4: golden/kv/remote-indexer.json. */
const blockHashes = BigUint64Array.of(9143094415614847814n, 12124091508212882195n, 1088361764653601668n);

class Wire implements EventSource {
  private readonly items: EventSourceItem[] = [];
  private wake = Promise.withResolvers<void>();
  private isClosed = false;

  give(item: EventSourceItem): void {
    this.items.push(item);
    this.wake.resolve();
  }

  close(): void {
    this.isClosed = true;
    this.wake.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EventSourceItem> {
    while (!this.isClosed) {
      yield* this.items.splice(0);
      await this.wake.promise;
      this.wake = Promise.withResolvers();
    }
  }
}

/** One router with its books, beside a wire under the test's control. */
function router(release: string, namespace = "ns", instanceId: InstanceId = idOf(1)) {
  const scheduler = new LocalScheduler({ blockSize: 4, config: {}, now: () => 0, random: () => 0.5 });
  const wire = new Wire();
  const told: { subject: string; bytes: Uint8Array }[] = [];
  const outcomes: string[] = [];
  let watching: WatchListener | undefined;
  const address = { namespace, component: "backend", endpoint: "generate" };
  const publish = (subject: string, bytes: Uint8Array) => told.push({ subject, bytes });
  const sync = new ReplicaSync(
    {
      address,
      dialectOf: () => dialectOf(release),
      replicas: scheduler.replicas,
    },
    {
      discovery: {
        instanceId,
        watch: (_prefix, listener) => {
          watching = listener;
          return { ready: Promise.resolve(), close: () => {} };
        },
      },
      publishers: SequencePublishers.onNats(address, { discovery: { instanceId }, publish }),
      sources: [wire],
      count: (outcome) => outcomes.push(outcome),
      log: silentLog,
    },
  );
  scheduler.observe(sync);
  return { scheduler, sync, wire, told, outcomes, watching: watching! };
}

const worker = { workerId: idOf(9), dpRank: 0 };
const request = { islTokens: 12, blockHashes, overlap: [], candidates: [worker] };
const message = (bytes: Uint8Array): EventSourceItem => ({ kind: "message", subject: "s", bytes, sequence: 1 });
const load = (scheduler: LocalScheduler) => scheduler.load(worker);
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise(setImmediate);
};

describe.each(runs)("beside workers of $release", (run) => {
  it("tells what a real router tells of the same request, on the same subject", () => {
    const real = sequenceMessages(run[oneRequest]);
    const { namespace } = /^namespace\.(?<namespace>[^.]+)\./.exec(real[0]!.subject)!.groups as { namespace: string };
    const { scheduler, told } = router(run.release, namespace);
    const booking = scheduler.select(request);
    booking.prefillDone();
    booking.free();
    booking.free();
    const payloadOf = (bytes: Uint8Array): object => {
      const {
        request_id: _r,
        worker: _w,
        router_id: _i,
        ...rest
      } = decodeMsgpack(decodeEnvelope(bytes).payload) as Record<string, unknown>;
      return rest;
    };
    expect(told.map(({ subject, bytes }) => [subject, payloadOf(bytes)])).toEqual(
      real.map(({ subject, hex }) => [subject, payloadOf(Buffer.from(hex, "hex"))]),
    );
  });

  it("counts what another router tells, and forgets it when that router leaves discovery", async () => {
    const [added] = sequenceMessages(run[oneRequest]).map(({ hex }) => Buffer.from(hex, "hex"));
    const { worker: loaded, router_id } = decodeActiveSequences(decodeEnvelope(added!).payload)[0]!;
    const { scheduler, wire, watching, sync } = router(run.release);
    const address = { namespace: "ns", component: "backend", endpoint: "router-discovery" };
    const keys = ["router-discovery", "kv_indexer_query"].map((endpoint) => instanceKey({ ...address, endpoint }, router_id));
    const value = encodeInstance({ address, instanceId: router_id, transport: { kind: "nats", subject: "s" } });
    for (const key of keys) watching.put(key, value);
    wire.give(message(added!));
    await until(() => scheduler.load(loaded).activeRequests === 1);
    expect(scheduler.load(loaded)).toEqual({ activePrefillTokens: 12, activeDecodeBlocks: 3, activeRequests: 1 });
    watching.delete(keys[0]!);
    expect(scheduler.load(loaded).activeRequests).toBe(1);
    watching.delete(keys[1]!);
    expect(scheduler.load(loaded).activeRequests).toBe(0);
    sync.close();
  });
});

it("does not hear itself, and counts what is no event", async () => {
  const { scheduler, wire, told, outcomes, sync } = router("1.6.1");
  scheduler.select(request);
  wire.give(message(told[0]!.bytes));
  wire.give(message(Buffer.from("no event")));
  await until(() => outcomes.length > 0);
  expect(outcomes).toEqual(["malformed"]);
  expect(load(scheduler).activeRequests).toBe(1);
  sync.close();
});

it("forgets what others told when messages may be missing", async () => {
  const other = router("1.6.1", "ns", idOf(2));
  const { scheduler, wire, sync } = router("1.6.1");
  other.scheduler.select(request);
  wire.give(message(other.told[0]!.bytes));
  await until(() => load(scheduler).activeRequests === 1);
  wire.give({ kind: "maybe_lost", reason: "reconnected" });
  await until(() => load(scheduler).activeRequests === 0);
  sync.close();
  other.sync.close();
});

it("serves its own request when telling others fails", () => {
  const { scheduler } = router("1.6.1");
  const failing: BookingObserver = new ReplicaSync(
    { address: { namespace: "n", component: "c", endpoint: "e" }, dialectOf: () => dialectOf("1.6.1"), replicas: scheduler.replicas },
    {
      discovery: { instanceId: idOf(1), watch: () => ({ ready: Promise.resolve(), close: () => {} }) },
      publishers: {
        tell: () => {
          throw new Error("connection closed");
        },
        close: () => {},
      },
      sources: [new Wire()],
      count: () => {},
      log: silentLog,
    },
  );
  scheduler.observe(failing);
  expect(scheduler.select(request).worker).toEqual(worker);
});

it("listens where routers of every release tell", () => {
  const told = new Set(
    runs.flatMap((run) => sequenceMessages(run[oneRequest]).map(({ subject }) => subject.replace(/^namespace\.[^.]+/, "namespace.n"))),
  );
  expect(new Set(sequenceSubjects({ namespace: "n", component: "backend", endpoint: "generate" }))).toEqual(told);
});
