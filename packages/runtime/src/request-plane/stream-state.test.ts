import { AppError, type InstanceId, TwoPartDecoder } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isNotTaken, notTaken } from "./call.ts";
import { isOver, nextState, readFrame, type StreamEvent, type StreamState } from "./stream-state.ts";

interface Frame {
  readonly dir: string;
  readonly what: string;
  readonly hex?: string;
}

interface Case {
  readonly name: string;
  readonly caller_options: { readonly codec?: string; readonly control?: string };
  readonly frames: readonly Frame[];
}

const id = 7n as InstanceId;
const limits = { frameBytesMax: 1024 * 1024 };
const conversations = ["nats-0.9.1", "nats-1.0.2", "nats-1.4.2", "nats-1.6.1", "tcp-0.9.1", "tcp-1.6.1"];
/** What the worker sends on its connection. */
const streamFrames = new Set(["handshake", "prologue", "item", "final", "sentinel"]);

/** Runs a worker's bytes through decoder and machine. */
function play(chunks: readonly Buffer[], closes: boolean): { state: StreamState; items: number } {
  let state: StreamState = { kind: "registered" };
  let items = 0;
  const decoder = new TwoPartDecoder(limits);
  for (const frame of chunks.flatMap((chunk) => decoder.push(chunk))) {
    if (isOver(state)) break;
    const event: StreamEvent = state.kind === "registered" ? { kind: "handshake" } : readFrame(state, frame);
    if (event.kind === "item") items++;
    state = nextState(state, event, id);
  }
  if (closes) state = nextState(state, { kind: "closed" }, id);
  return { state, items };
}

/** What became of a conversation, read off the recording: only its final frame is a normal end. */
function recordedOutcome({ frames }: Case): StreamState["kind"] {
  const seen = new Set(frames.filter((frame) => frame.dir === "W>C").map((frame) => frame.what));
  if (seen.has("final")) return "ended";
  const closed = seen.has("FIN") || seen.has("sentinel");
  if (seen.has("prologue")) return closed ? "lost" : "open";
  if (seen.has("handshake")) return closed ? "refused" : "connected";
  return "registered";
}

const jsonCases = conversations
  .flatMap((name) =>
    golden<{ cases: Case[] }>(`wire/endpoint-${name}.json`).cases.map((conversation) => ({
      ...conversation,
      name: `${name}: ${conversation.name}`,
    })),
  )
  .filter(({ caller_options }) => caller_options.codec !== "msgpack"); // our caller sends JSON and is answered in JSON

describe("streams of real endpoints", () => {
  it("end as recorded, with every recorded item, cut at every byte offset", () => {
    for (const conversation of jsonCases) {
      const frames = conversation.frames.filter((frame) => frame.dir === "W>C" && streamFrames.has(frame.what));
      if (frames.some((frame) => frame.hex === undefined)) continue; // an item of 3 MiB, recorded by its first bytes
      const bytes = Buffer.concat(frames.map((frame) => Buffer.from(frame.hex!, "hex")));
      const expected = { kind: recordedOutcome(conversation), items: frames.filter((frame) => frame.what === "item").length };
      const closes = conversation.frames.some((frame) => frame.dir === "W>C" && frame.what === "FIN");
      for (let cut = 0; cut <= bytes.length; cut++) {
        const { state, items } = play([bytes.subarray(0, cut), bytes.subarray(cut)], closes);
        if (state.kind !== expected.kind || items !== expected.items) {
          expect({ name: conversation.name, cut, kind: state.kind, items }).toEqual(expected);
        }
      }
    }
  });

  it("are of all kinds in the recordings", () => {
    const kinds = new Set(jsonCases.map(recordedOutcome));
    expect([...kinds].sort()).toEqual(["connected", "ended", "lost", "open", "registered"]);
  });

  it("count as lost or refused wherever they are cut off, but never as ended", () => {
    const whole = jsonCases.find(({ name }) => name === "tcp-1.6.1: stream")!;
    const frames = whole.frames.filter((frame) => streamFrames.has(frame.what) && frame.what !== "final" && frame.what !== "sentinel");
    const bytes = Buffer.concat(frames.map((frame) => Buffer.from(frame.hex!, "hex")));
    for (let end = 0; end <= bytes.length; end++) {
      const { state } = play([bytes.subarray(0, end)], true);
      expect(["refused", "lost"]).toContain(state.kind);
    }
  });
});

describe("nextState", () => {
  const error = new AppError("protocol_error", "x");
  const events = fc.constantFrom<StreamEvent>(
    { kind: "handshake" },
    { kind: "prologue", error: null },
    { kind: "prologue", error: "refused" },
    { kind: "item" },
    { kind: "final" },
    { kind: "sentinel" },
    { kind: "closed" },
    { kind: "failed", error },
    { kind: "cancel" },
  );

  it("leaves a final state for nothing, under any history", () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 20 }), (history) => {
        let state: StreamState = { kind: "registered" };
        for (const event of history) {
          const next = nextState(state, event, id);
          if (isOver(state)) expect(next).toBe(state);
          state = next;
        }
      }),
    );
  });

  it("says before the prologue that the request was not taken, and never after it", () => {
    const connected: StreamState = { kind: "connected" };
    for (const event of [{ kind: "closed" }, { kind: "prologue", error: "no" }] as const) {
      const state = nextState(connected, event, id);
      expect(state.kind === "refused" && isNotTaken(state.error)).toBe(true);
    }
    for (const event of [{ kind: "closed" }, { kind: "sentinel" }] as const) {
      const state = nextState({ kind: "open" }, event, id);
      expect(state).toMatchObject({ kind: "lost", error: { code: "worker_lost", details: { instance_id: id } } });
      expect(state.kind === "lost" && isNotTaken(state.error)).toBe(false);
    }
  });

  it("keeps the error of a failure, whether the stream was open or not", () => {
    const failure = notTaken("deadline_exceeded", "late", { instanceId: id });
    expect(nextState({ kind: "registered" }, { kind: "failed", error: failure }, id)).toEqual({ kind: "refused", error: failure });
    expect(nextState({ kind: "open" }, { kind: "failed", error }, id)).toEqual({ kind: "lost", error });
  });

  it("ends a cancelled stream as cancelled, whatever the worker does then", () => {
    const cancelled = nextState({ kind: "open" }, { kind: "cancel" }, id);
    expect(nextState(cancelled, { kind: "closed" }, id).kind).toBe("cancelled");
  });
});

describe("readFrame", () => {
  it("refuses a control frame that is no sentinel in an open stream, and an item where the prologue must come", () => {
    const frame = (header: string, body = "") => ({ header: Buffer.from(header), body: Buffer.from(body) });
    expect(() => readFrame({ kind: "open" }, frame('"what"'))).toThrow(AppError);
    expect(() => readFrame({ kind: "connected" }, frame("", '{"data":{},"complete_final":false}'))).toThrow(AppError);
  });
});
