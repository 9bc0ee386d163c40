// What real routers of each release told of one request, counted as its receiver must.
import { type ActiveSequenceEvent, decodeActiveSequences, decodeEnvelope, type InstanceId } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { ActiveSequences } from "./active-sequences.ts";
import { LocalScheduler } from "./local-scheduler.ts";
import { ReplicaLoad } from "./replica-load.ts";

interface Message {
  readonly subject: string;
  readonly hex: string;
}

const oneRequest = "one request, tokens 0..11, block size 4";
const { runs } = golden<{ runs: { release: string; [oneRequest]: Message[] }[] }>("kv/load-and-sync.json");

const eventsOf = (messages: readonly Message[]): ActiveSequenceEvent[] =>
  messages
    .filter(({ subject }) => subject.endsWith(".active_sequences_events"))
    .flatMap(({ hex }) => decodeActiveSequences(decodeEnvelope(Buffer.from(hex, "hex")).payload));

const idle = { activePrefillTokens: 0, activeDecodeBlocks: 0, activeRequests: 0 };

function held() {
  const active = new ActiveSequences(1_000);
  return { active, replicas: new ReplicaLoad(active, { blockSize: 4, now: () => 0, requestsMax: 3 }) };
}

describe.each(runs)("a real router of $release", (run) => {
  const [added, prefilled, freed] = eventsOf(run[oneRequest]) as [ActiveSequenceEvent, ActiveSequenceEvent, ActiveSequenceEvent];

  it("is counted with 12 tokens and 3 blocks, then without the tokens, then not at all", () => {
    const { active, replicas } = held();
    const told = [added, prefilled, freed].map((event) => [replicas.apply(event), active.load(event.worker)]);
    expect(told).toEqual([
      ["applied", { activePrefillTokens: 12, activeDecodeBlocks: 3, activeRequests: 1 }],
      ["applied", { activePrefillTokens: 0, activeDecodeBlocks: 3, activeRequests: 1 }],
      ["applied", idle],
    ]);
  });

  it("counts once, whatever comes twice, and its end before its beginning does nothing", () => {
    const { active, replicas } = held();
    expect([freed, added, added, freed, freed].map((event) => replicas.apply(event))).toEqual([
      "unknown",
      "applied",
      "repeated",
      "applied",
      "unknown",
    ]);
    expect(active.load(added.worker)).toEqual(idle);
  });

  it("takes its requests with it when it goes, and nobody else's", () => {
    const { active, replicas } = held();
    const other = { ...added, router_id: 7n as InstanceId };
    active.add(1, added.worker, new BigUint64Array(), 5, 0);
    replicas.apply(added);
    replicas.apply(other);
    replicas.forget(added.router_id);
    expect(active.load(added.worker)).toEqual({ activePrefillTokens: 17, activeDecodeBlocks: 3, activeRequests: 2 });
    replicas.forgetAll();
    expect(active.load(added.worker)).toEqual({ activePrefillTokens: 5, activeDecodeBlocks: 0, activeRequests: 1 });
  });

  it("shares blocks with our own request of the same prompt", () => {
    const scheduler = new LocalScheduler({ blockSize: 4, config: {}, now: () => 0, random: () => 0.5 });
    scheduler.replicas.apply(added);
    const first = (added.data as Extract<ActiveSequenceEvent["data"], object>).AddRequest.token_sequence![0]!;
    const request = { islTokens: 4, blockHashes: BigUint64Array.of(first), overlap: [], candidates: [added.worker] };
    expect(scheduler.explain(request).chosen).toMatchObject({ activePrefillTokens: 12, activeDecodeBlocks: 3, newDecodeBlocks: 0 });
  });
});

it("holds no more requests than it may", () => {
  const { active, replicas } = held();
  const [added] = eventsOf(runs[0]![oneRequest]) as [ActiveSequenceEvent];
  const outcomes = Array.from({ length: 5 }, (_, n) => replicas.apply({ ...added, request_id: `${n}` }));
  expect(outcomes).toEqual(["applied", "applied", "applied", "too_many", "too_many"]);
  expect(active.size).toBe(3);
});
