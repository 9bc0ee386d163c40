import { AppError } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { frameOf, KeepingSink, streamOf, tokensFrame } from "../testing.ts";
import { relay } from "./relay.ts";

const errorFrame = (error_type: unknown, message: string) =>
  frameOf({ event: "error", error: { error_type: error_type as string, message } });

async function relayed(stream: ReturnType<typeof streamOf>, codec: "json" | "msgpack" = "json") {
  const sink = new KeepingSink();
  const counts: number[] = [];
  const end = await relay(stream, sink, { codec, onItems: (count) => counts.push(count) });
  return { sink, counts, end };
}

describe("relay", () => {
  it("passes batches on as they came: the same bytes, one write each", async () => {
    const batches = [[tokensFrame(1)], [tokensFrame(2), tokensFrame(3), tokensFrame()], [tokensFrame(4)]];
    const { sink, end } = await relayed(streamOf(batches));
    expect(sink.writes).toEqual(batches);
    expect(sink.writes[1]![0]).toBe(batches[1]![0]);
    expect(end).toEqual({ kind: "ended" });
  });

  it("tells of items from the first tokens on, not for a leading item without tokens", async () => {
    const { counts } = await relayed(
      streamOf([[tokensFrame()], [frameOf({ event: "note", comment: ["x"] })], [tokensFrame(7), tokensFrame(8)], [tokensFrame()]]),
    );
    expect(counts).toEqual([2, 1]);
  });

  it.each(["0.9.1", "1.0.2", "1.2.1", "1.4.2", "1.5.1", "1.6.1"])(
    "tells what a real worker of %s says it had in its cache",
    async (release) => {
      const { direct } = golden<{ direct: { label: string; chunks: Record<string, unknown>[] }[] }>(`worker/direct-${release}.json`);
      const { chunks } = direct.find(({ label }) => label === "plain again (cache hit)")!;
      const frames = chunks.map((data) => [frameOf({ data })]);
      expect((await relayed(streamOf(frames))).end).toEqual({ kind: "ended", cachedTokens: 64 });
      expect((await relayed(streamOf(frames.slice(0, -1)))).end).toEqual({ kind: "ended" });
    },
  );

  it("writes a worker's error anew, so that every release reads its text, and names it as the end", async () => {
    const { sink, end } = await relayed(
      streamOf([[tokensFrame(1)], [errorFrame({ Backend: "InvalidArgument" }, "ValueError: no such image")]]),
    );
    expect(end).toMatchObject({ kind: "failed", error: { code: "invalid_request", status: 400 } });
    expect(sink.items[0]).toMatchObject({
      event: "error",
      comment: ["ValueError: no such image"],
      error: { error_type: "InvalidArgument", public: { message: "ValueError: no such image" } },
    });
  });

  it("keeps an exact status that a worker named", async () => {
    const { sink } = await relayed(streamOf([[errorFrame({ Backend: "Unknown" }, '{"message":"slow down","code":429}')]]));
    expect(sink.items[0]?.error?.message).toBe('{"message":"slow down","code":429}');
  });

  it("passes nothing on about a worker that is going, and tells whether items went out before", async () => {
    const early = await relayed(streamOf([[errorFrame({ Backend: "EngineShutdown" }, "going")]]));
    expect(early.end).toMatchObject({ kind: "lost", afterItems: false });
    expect(early.sink.items).toEqual([]);
    const late = await relayed(streamOf([[tokensFrame(1)], [errorFrame({ Backend: "EngineShutdown" }, "going")]]));
    expect(late.end).toMatchObject({ kind: "lost", afterItems: true });
  });

  it("tells a broken stream as lost and a caller that left as an error", async () => {
    const lost = await relayed(streamOf([[tokensFrame(1)]], new AppError("worker_lost", "FIN")));
    expect(lost.end).toMatchObject({ kind: "lost", afterItems: true, error: { code: "worker_lost" } });
    await expect(relayed(streamOf([], new AppError("client_closed", "left")))).rejects.toMatchObject({ code: "client_closed" });
  });

  it("names the worker's error as the end, also when the caller left at it", async () => {
    const left = new AppError("client_closed", "the request was cancelled");
    const failing = [errorFrame({ Backend: "InvalidArgument" }, "ValueError: no such image")];
    const { end } = await relayed(streamOf([failing], left));
    expect(end).toMatchObject({ kind: "failed", error: { code: "invalid_request" } });
  });

  it("passes other events through", async () => {
    const { sink, end } = await relayed(streamOf([[frameOf({ event: "my_event", comment: ['{"a":1}'] })]]));
    expect(sink.items).toEqual([{ event: "my_event", comment: ['{"a":1}'] }]);
    expect(end).toEqual({ kind: "ended" });
  });

  it("decodes for a caller with another codec, u64 included", async () => {
    const { sink } = await relayed(streamOf([[frameOf({ data: { token_ids: [1], id: 18446744073709551615n } })]]), "msgpack");
    expect(sink.items).toEqual([{ data: { token_ids: [1], id: 18446744073709551615n } }]);
    expect(sink.writes).toEqual([]);
  });

  it("lets a writer that is full hold the worker back", async () => {
    const gate = Promise.withResolvers<void>();
    const read: number[] = [];
    const stream = streamOf([]);
    stream[Symbol.asyncIterator] = async function* () {
      for (const n of [1, 2]) {
        read.push(n);
        yield [tokensFrame(n)];
      }
    };
    const sink = new KeepingSink();
    sink.frames = () => gate.promise;
    const done = relay(stream, sink, { codec: "json", onItems: () => {} });
    await new Promise(setImmediate);
    expect(read).toEqual([1]);
    gate.resolve();
    await done;
    expect(read).toEqual([1, 2]);
  });
});
