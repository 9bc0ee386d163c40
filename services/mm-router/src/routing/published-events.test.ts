import { encodeEnvelope, encodeRouterEvent, encodeRouterEventList, type RouterEvent } from "@mm-router/protocol";
import type { EventSource, EventSourceItem } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import { PublishedEvents } from "./published-events.ts";
import { idOf, keepingLog, silentLog } from "../testing.ts";

function eventOf(n: number): RouterEvent {
  return { worker_id: idOf(n), event: { event_id: BigInt(n), data: "cleared", dp_rank: 0 } };
}

const enveloped = (payload: Uint8Array): Uint8Array =>
  encodeEnvelope({ publisher_id: 1n, sequence: 0n, published_at: 0n, topic: "kv-events", payload });

/** A source under the test's control. */
class Wire implements EventSource {
  readonly opened = Promise.withResolvers<void>();
  isClosed = false;
  private readonly items: EventSourceItem[] = [];
  private wake = Promise.withResolvers<void>();

  give(...items: EventSourceItem[]): void {
    this.items.push(...items);
    this.wake.resolve();
  }

  message(bytes: Uint8Array): void {
    this.give({ kind: "message", subject: "s", bytes, sequence: 1 });
  }

  close(): void {
    this.isClosed = true;
    this.wake.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EventSourceItem> {
    this.opened.resolve();
    while (!this.isClosed) {
      yield* this.items.splice(0);
      await this.wake.promise;
      this.wake = Promise.withResolvers();
    }
  }
}

/** Events heard, as a promise of the first `count`. */
function ear(count: number) {
  const done = Promise.withResolvers<bigint[]>();
  const heard: bigint[] = [];
  return {
    heard: done.promise,
    event({ event }: RouterEvent) {
      heard.push(event.event_id);
      if (heard.length === count) done.resolve(heard);
    },
  };
}

describe("published events", () => {
  it("gives every listener the events of every form of message", async () => {
    const wire = new Wire();
    const events = new PublishedEvents(async () => wire, silentLog);
    const [first, second] = [ear(4), ear(4)];
    events.listen(first);
    events.listen(second);
    wire.message(encodeRouterEvent(eventOf(1), "json")); // JetStream, ≤ 1.2
    wire.message(enveloped(encodeRouterEvent(eventOf(2), "msgpack"))); // core, ≤ 1.2
    wire.message(enveloped(encodeRouterEventList([eventOf(3), eventOf(4)]))); // core, ≥ 1.4
    expect(await first.heard).toEqual([1n, 2n, 3n, 4n]);
    expect(await second.heard).toEqual([1n, 2n, 3n, 4n]);
    events.close();
  });

  it("goes on after a message that is none and a listener that fails", async () => {
    const wire = new Wire();
    const log = keepingLog();
    const events = new PublishedEvents(async () => wire, log);
    events.listen({
      event: () => {
        throw new Error("mine");
      },
    });
    const other = ear(1);
    events.listen(other);
    wire.message(Buffer.from("no event"));
    wire.message(enveloped(encodeRouterEventList([eventOf(1)])));
    expect(await other.heard).toEqual([1n]);
    expect(log.lines.map(({ level }) => level)).toEqual(["debug", "error"]);
    events.close();
  });

  it("tells that events may be missing", async () => {
    const wire = new Wire();
    const events = new PublishedEvents(async () => wire, silentLog);
    const lost = Promise.withResolvers<string>();
    events.listen({ event: () => {}, lost: lost.resolve });
    wire.give({ kind: "maybe_lost", reason: "overflow" });
    expect(await lost.promise).toBe("overflow");
    events.close();
  });

  it("is subscribed while somebody listens, and again for the next one", async () => {
    const wires: Wire[] = [];
    const events = new PublishedEvents(async () => {
      wires.push(new Wire());
      return wires.at(-1)!;
    }, silentLog);
    const stopFirst = events.listen(ear(1));
    const stopSecond = events.listen(ear(1));
    await wires[0]!.opened.promise;
    stopFirst();
    expect(wires[0]!.isClosed).toBe(false);
    stopSecond();
    expect(wires[0]!.isClosed).toBe(true);
    events.listen(ear(1));
    await wires[1]!.opened.promise;
    expect(wires).toHaveLength(2);
    events.close();
    expect(wires[1]!.isClosed).toBe(true);
  });

  it("does without events where they cannot be heard", async () => {
    const log = keepingLog();
    const told = Promise.withResolvers<void>();
    log.warn = () => told.resolve();
    const events = new PublishedEvents(() => Promise.reject(new Error("no NATS")), log);
    events.listen(ear(1));
    await told.promise;
    events.close();
  });
});
