import {
  type BlockHash,
  dialectOf,
  encodeRouterEvent,
  type ExternalHash,
  type InstanceId,
  routerEventFor,
  type WorkerKey,
} from "@mm-router/protocol";
import type { EventSource, EventSourceItem } from "@mm-router/runtime";
import { expect, it } from "vitest";
import { StreamReplay } from "./stream-replay.ts";

const worker: WorkerKey = { workerId: 7n as InstanceId, dpRank: 1 };
const other: WorkerKey = { workerId: 7n as InstanceId, dpRank: 0 };
const { signal } = new AbortController();

const message = ({ workerId, dpRank }: WorkerKey, eventId: number): EventSourceItem => {
  const block = { block_hash: BigInt(eventId) as ExternalHash, tokens_hash: 5n as BlockHash };
  const event = routerEventFor(dialectOf("1.2.1"), { workerId, dpRank }, BigInt(eventId), {
    stored: { parent_hash: null, blocks: [block] },
  });
  return { kind: "message", subject: "s", bytes: encodeRouterEvent(event, "json"), sequence: 1 };
};
const noise: EventSourceItem = { kind: "message", subject: "s", bytes: Buffer.from("{"), sequence: 1 };

/** A stream that holds these messages, and later ones that come while it is read. */
function replayOf(stored: readonly EventSourceItem[]) {
  let closed = 0;
  const open = (): EventSource => ({
    async *[Symbol.asyncIterator]() {
      yield* stored;
      yield { kind: "caught_up" as const };
      yield message(worker, 1_000);
    },
    close: () => void closed++,
  });
  return { replay: new StreamReplay({ open, eventIdsStartAt: () => 1 }), closed: () => closed };
}

const idsOf = (events: readonly { event: { event_id: bigint } }[]) => events.map(({ event }) => Number(event.event_id));

it("gives a rank's events from an id on, of its own alone, each once, and closes its source", async () => {
  const items = [
    message(other, 1),
    message(worker, 1),
    message(worker, 2),
    noise,
    message(other, 2),
    message(worker, 2),
    message(worker, 3),
  ];
  const { replay, closed } = replayOf(items);
  const some = await replay.ask(worker, 2n, signal);
  expect(some).toMatchObject({ kind: "events", cursor: 3n });
  expect(idsOf((some as Extract<typeof some, { events: object }>).events)).toEqual([2, 3]);
  const all = await replay.ask(worker, null, signal);
  expect(all).toMatchObject({ kind: "dump", cursor: 3n });
  expect(idsOf((all as Extract<typeof all, { events: object }>).events)).toEqual([1, 2, 3]);
  expect(closed()).toBe(2);
});

it.each<[string, readonly EventSourceItem[], bigint | null]>([
  ["the first one asked for", [message(worker, 1), message(worker, 3)], 2n],
  ["one in between", [message(worker, 2), message(worker, 4)], 2n],
  ["all of them", [message(other, 2)], 2n],
  ["the very first of the rank", [message(worker, 2), message(worker, 3)], null],
])("fails when the stream misses %s", async (_, stored, start) => {
  const { replay, closed } = replayOf(stored);
  await expect(replay.ask(worker, start, signal)).rejects.toMatchObject({ code: "no_instances" });
  expect(closed()).toBe(1);
});

it("tells of nobody whose ids have gaps by nature", () => {
  expect(replayOf([]).replay.canTell(worker)).toBe(true);
  const replay = new StreamReplay({ open: () => expect.fail(), eventIdsStartAt: () => undefined });
  expect(replay.canTell(worker)).toBe(false);
});
