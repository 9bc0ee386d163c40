import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { EventStream } from "./sse.ts";

/** A response whose socket takes more, or does not, as the test says. */
class FakeResponse extends EventEmitter {
  readonly written: string[] = [];
  head: unknown;
  destroyed = false;
  takesMore = true;

  writeHead(...head: unknown[]): void {
    this.head = head;
  }
  get writableNeedDrain(): boolean {
    return !this.takesMore;
  }
  flushHeaders(): void {}
  setTimeout(): void {}
  write(text: string): boolean {
    this.written.push(text);
    return this.takesMore;
  }
  end(text: string): void {
    this.written.push(text);
  }
}

describe("an event stream", () => {
  let response: FakeResponse;
  const stream = (keepAliveMs = 0) =>
    new EventStream(response as unknown as ServerResponse, { "x-request-id": "r" }, { keepAliveMs, stallMs: 1000 });
  beforeEach(() => {
    response = new FakeResponse();
  });

  it("begins with its head alone", () => {
    stream();
    expect(response.head).toEqual([200, { "x-request-id": "r", "content-type": "text/event-stream", "cache-control": "no-cache" }]);
    expect(response.written).toEqual([]);
  });

  it("writes once per flush, whatever was gathered", async () => {
    const events = stream();
    events.data("1");
    events.annotation("note", ['"a"', "two\nlines"]);
    events.data("2");
    await events.flush();
    await events.flush();
    events.data("3");
    events.end();
    expect(response.written).toEqual(['data: 1\n\nevent: note\n: "a"\n: two\n: lines\n\ndata: 2\n\n', "data: 3\n\ndata: [DONE]\n\n"]);
  });

  it.each(["drain", "close"])("holds the writer back until %s", async (event) => {
    const events = stream();
    response.takesMore = false;
    events.data("1");
    let flushed = false;
    const flush = events.flush().then(() => {
      flushed = true;
    });
    await Promise.resolve();
    expect(flushed).toBe(false);
    response.emit(event);
    await flush;
    expect([flushed, response.listenerCount("drain"), response.listenerCount("close")]).toEqual([true, 0, event === "close" ? 0 : 1]);
  });

  it("drops what comes after the client left", async () => {
    const events = stream();
    response.destroyed = true;
    events.data("1");
    await events.flush();
    events.end();
    expect(response.written).toEqual([]);
  });

  it("says something while it is silent, when it is told to", async () => {
    vi.useFakeTimers();
    try {
      const events = stream(500);
      vi.advanceTimersByTime(400);
      events.data("1");
      await events.flush();
      vi.advanceTimersByTime(499);
      expect(response.written).toEqual(["data: 1\n\n"]);
      vi.advanceTimersByTime(1);
      events.end();
      vi.advanceTimersByTime(5000);
      expect(response.written.slice(1)).toEqual([":\n\n", "data: [DONE]\n\n"]);
    } finally {
      vi.useRealTimers();
    }
  });
});
