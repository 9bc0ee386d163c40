import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { decodeMsgpack, encodeMsgpack } from "../msgpack.ts";
import { decodeActiveSequences, encodeActiveSequence, encodeActiveSequenceList } from "./active-sequence.ts";
import { decodeEnvelope, encodeEnvelope } from "./envelope.ts";
import { decodeActiveLoad, decodeKvHitRate, encodeActiveLoad, encodeKvHitRate } from "./load.ts";

interface SyncMessage {
  readonly subject: string;
  readonly hex: string;
  readonly decoded: { readonly payload: Readonly<Record<string, unknown>> };
}

const { runs } = golden<{ runs: Record<string, unknown>[] }>("kv/load-and-sync.json");
const messages = runs.flatMap((run) => Object.values(run).filter(isMessageList).flat());

function isMessageList(value: unknown): value is SyncMessage[] {
  return Array.isArray(value) && value.some((item) => typeof item === "object" && item !== null && "hex" in item);
}

const codecs: Record<string, (payload: Uint8Array) => Uint8Array> = {
  kv_metrics: (payload) => encodeActiveLoad(decodeActiveLoad(payload)),
  active_sequences_events: (payload) => encodeActiveSequence(decodeActiveSequences(payload)[0]!),
  "kv-hit-rate": (payload) => encodeKvHitRate(decodeKvHitRate(payload)),
};

describe("messages of real routers and workers", () => {
  it("decodes every load, sequence and hit-rate message and encodes it to the same bytes", () => {
    const wrong: string[] = [];
    const counts: Record<string, number> = {};
    for (const { subject, hex } of messages) {
      const bytes = Buffer.from(hex, "hex");
      const envelope = decodeEnvelope(bytes);
      const again = encodeEnvelope({ ...envelope, payload: codecs[envelope.topic]!(envelope.payload) });
      if (!bytes.equals(again)) wrong.push(`${subject} ${hex}`);
      counts[envelope.topic] = (counts[envelope.topic] ?? 0) + 1;
    }
    expect(wrong).toEqual([]);
    expect(counts).toEqual({ kv_metrics: 57, active_sequences_events: 57, "kv-hit-rate": 3 });
  });

  it("reads the sequence messages alike one by one and as a list, the form of 1.4 over ZMQ", () => {
    const sequences = messages.filter(({ subject }) => subject.endsWith("active_sequences_events"));
    const payloads = sequences.map(({ hex }) => decodeEnvelope(Buffer.from(hex, "hex")).payload);
    const events = payloads.flatMap(decodeActiveSequences);
    expect(decodeActiveSequences(encodeMsgpack({ events: payloads.map(decodeMsgpack) }))).toEqual(events);
    expect(decodeActiveSequences(encodeActiveSequenceList(events))).toEqual(events);
  });

  it("reads what the golden file says: the first load message of each release", () => {
    for (const { hex, decoded } of messages.filter(({ subject }) => subject.endsWith("kv_metrics"))) {
      const load = decodeActiveLoad(decodeEnvelope(Buffer.from(hex, "hex")).payload);
      expect(String(load.active_decode_blocks)).toBe(String(decoded.payload.active_decode_blocks));
      expect(String(load.worker_id)).toBe(decoded.payload.worker_id);
    }
  });
});

it("refuses sequence events of unknown kinds and wrong types", () => {
  const worker = { worker_id: 1, dp_rank: 0 };
  for (const data of [
    "Gone",
    { AddRequest: 1 },
    { AddRequest: { token_sequence: [-1] } },
    { AddRequest: { track_prefill_tokens: 1 } },
    null,
  ]) {
    const event = { request_id: "r", worker, data, router_id: 1 };
    for (const message of [event, { events: [event] }, { events: event }])
      expect(() => decodeActiveSequences(encodeMsgpack(message))).toThrow(AppError);
  }
});
