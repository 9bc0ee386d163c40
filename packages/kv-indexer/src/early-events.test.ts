import type { InstanceId, RouterEvent } from "@mm-router/protocol";
import { expect, it } from "vitest";
import { EarlyEvents } from "./early-events.ts";

const source = { async *[Symbol.asyncIterator]() {}, close: () => {} };
const early = (worker: bigint, eventId: bigint, blocks: number) => {
  const stored = { parent_hash: null, blocks: Array.from({ length: blocks }, () => ({ block_hash: 1n, tokens_hash: 1n })) };
  const event = { worker_id: worker, event: { event_id: eventId, data: { stored }, dp_rank: 0 } } as unknown as RouterEvent;
  return { event, publisherId: undefined, source };
};

it("keeps events by the weight of their blocks, gives a worker's in order, and counts those that wait in vain", () => {
  let expired = 0;
  const events = new EarlyEvents((count) => void (expired += count), 10);
  expect([events.add(early(1n, 1n, 3), 0), events.add(early(2n, 1n, 0), 1_000), events.add(early(1n, 2n, 4), 2_000)]).toEqual([
    true,
    true,
    true,
  ]);
  expect(events.add(early(3n, 1n, 0), 2_000)).toBe(false); // 4 + 1 + 5
  expect(events.take(1n as InstanceId).map(({ event }) => event.event.event_id)).toEqual([1n, 2n]);
  expect(events.take(1n as InstanceId)).toEqual([]);
  expect(events.add(early(3n, 1n, 8), 2_000)).toBe(true);
  events.expire(11_000);
  expect(expired).toBe(1); // worker 2's; worker 3's came later
  expect(events.take(3n as InstanceId)).toHaveLength(1);
  expect(events.add(early(4n, 1n, 9), 30_000)).toBe(true);
});
