import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { dialectOf } from "../dialect.ts";
import { decodeEnvelope, encodeEnvelope } from "./envelope.ts";
import { encodeEventPayloads, routerEventFor } from "./event-form.ts";
import { decodeRouterEvents, encodeRouterEvent, encodeRouterEventList, type RouterEvent } from "./router-event.ts";
import { decodeZmqFrames, encodeZmqFrames, readZmqFrames } from "./zmq-frames.ts";

interface WireRun {
  readonly release: string;
  readonly event_plane: string;
  readonly mode: string;
  readonly nats_messages?: readonly { hex?: string; text?: string; decoded: unknown }[];
  readonly zmq_messages?: readonly { frames_hex: string[]; decoded: { envelope: { payload: unknown } } }[];
}

const runs = golden<{ runs: WireRun[] }>("kv/events-wire.json").runs;
const label = (run: WireRun, index: number) => `${run.release} ${run.event_plane} ${run.mode} #${index}`;

/** As the golden file writes decoded values: integers as decimal strings. */
function withTextIntegers(value: unknown): unknown {
  if (typeof value === "bigint" || typeof value === "number") return String(value);
  if (Array.isArray(value)) return value.map(withTextIntegers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withTextIntegers(member)]));
}

function reencoded(bytes: Uint8Array, events: readonly RouterEvent[]): Uint8Array {
  const head = bytes[0]!;
  if (head === 0x7b) return encodeRouterEvent(events[0]!, "json");
  const isList = (head & 0xf0) === 0x90 || head === 0xdc || head === 0xdd;
  return isList ? encodeRouterEventList(events) : encodeRouterEvent(events[0]!, "msgpack");
}

describe("messages of real publishers", () => {
  it("decodes every NATS core message and encodes envelope and payload to the same bytes", () => {
    const wrong: string[] = [];
    let messages = 0;
    for (const run of runs) {
      for (const [index, message] of (run.nats_messages ?? []).entries()) {
        if (message.hex === undefined) continue;
        const bytes = Buffer.from(message.hex, "hex");
        const envelope = decodeEnvelope(bytes);
        const events = decodeRouterEvents(envelope.payload);
        const payload = reencoded(envelope.payload, events);
        const decoded = { ...envelope, payload: run.release >= "1.4" ? events : events[0] };
        const same = JSON.stringify(withTextIntegers(decoded)) === JSON.stringify(withTextIntegers(message.decoded));
        if (!same || !bytes.equals(encodeEnvelope({ ...envelope, payload }))) wrong.push(label(run, index));
        messages++;
      }
    }
    expect(wrong).toEqual([]);
    expect(messages).toBe(175);
  });

  it("decodes every JetStream message and encodes it to the same text", () => {
    const wrong: string[] = [];
    let messages = 0;
    for (const run of runs) {
      for (const [index, { text, decoded }] of (run.nats_messages ?? []).entries()) {
        if (text === undefined) continue;
        const [event] = decodeRouterEvents(Buffer.from(text));
        const same = JSON.stringify(withTextIntegers(event)) === JSON.stringify(withTextIntegers(decoded));
        if (!same || Buffer.from(encodeRouterEvent(event!, "json")).toString() !== text) wrong.push(label(run, index));
        messages++;
      }
    }
    expect(wrong).toEqual([]);
    expect(messages).toBe(81);
  });

  it("decodes every ZMQ message and encodes it to the same frames", () => {
    const wrong: string[] = [];
    let messages = 0;
    for (const run of runs) {
      for (const [index, { frames_hex, decoded }] of (run.zmq_messages ?? []).entries()) {
        const envelope = decodeZmqFrames(frames_hex.map((frame) => Buffer.from(frame, "hex")));
        const events = decodeRouterEvents(envelope.payload);
        const frames = encodeZmqFrames({ ...envelope, payload: reencoded(envelope.payload, events) });
        const payload = run.release >= "1.4" ? events : events[0];
        const same = JSON.stringify(withTextIntegers(payload)) === JSON.stringify(withTextIntegers(decoded.envelope.payload));
        if (!same || frames.some((frame, at) => Buffer.from(frame).toString("hex") !== frames_hex[at])) wrong.push(label(run, index));
        messages++;
      }
    }
    expect(wrong).toEqual([]);
    expect(messages).toBe(135);
  });

  it("reads publisher and sequence of a ZMQ message from its frames, as its envelope repeats them", () => {
    const messages = runs.flatMap(({ zmq_messages = [] }) => zmq_messages);
    for (const { frames_hex } of messages) {
      const frames = frames_hex.map((frame) => Buffer.from(frame, "hex"));
      const { publisherId, sequence, envelope } = readZmqFrames(frames);
      expect(decodeEnvelope(envelope)).toMatchObject({ publisher_id: publisherId, sequence });
      expect(() => readZmqFrames([...frames, Buffer.alloc(0)])).toThrow("4 frames, not 5");
      expect(() => readZmqFrames([frames[0]!, Buffer.alloc(7), frames[2]!, frames[3]!])).toThrow("8 bytes, not 7");
    }
    expect(messages.length).toBeGreaterThan(100);
  });

  it("gives events the members that each release writes", () => {
    const wrong: string[] = [];
    for (const run of runs) {
      const form = dialectOf(run.release);
      for (const [index, message] of (run.nats_messages ?? []).entries()) {
        const payload = message.hex === undefined ? Buffer.from(message.text!) : decodeEnvelope(Buffer.from(message.hex, "hex")).payload;
        const events = decodeRouterEvents(payload).map(({ worker_id, event }) =>
          routerEventFor(form, { workerId: worker_id, dpRank: event.dp_rank }, event.event_id, event.data),
        );
        const written = message.hex === undefined ? encodeRouterEvent(events[0]!, "json") : encodeEventPayloads(form, events)[0]!;
        if (!Buffer.from(payload).equals(written)) wrong.push(label(run, index));
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe("decodeRouterEvents", () => {
  const decode = (json: string) => decodeRouterEvents(Buffer.from(json));

  it("takes events without the members that came later and ignores unknown ones", () => {
    const [event] = decode(
      '{"event":{"x":1,"data":{"removed":{"block_hashes":[1,"2"]}},"event_id":3},"worker_id":18446744073709551615,"new":{}}',
    );
    expect(event).toEqual({
      worker_id: 18446744073709551615n,
      event: { event_id: 3n, data: { removed: { block_hashes: [1n, 2n] } }, dp_rank: 0 },
    });
  });

  it.each(["null", '"elsewhere"', "1"])("refuses residency domain %s: the state is not the worker's", (domain) => {
    expect(() => decode(`{"worker_id":1,"residency_domain":${domain},"event":{"event_id":1,"data":"cleared","dp_rank":0}}`)).toThrow(
      AppError,
    );
  });

  it.each([
    '{"worker_id":-1,"event":{"event_id":1,"data":"cleared","dp_rank":0}}',
    '{"worker_id":18446744073709551616,"event":{"event_id":1,"data":"cleared","dp_rank":0}}',
    '{"worker_id":1,"event":{"event_id":1.5,"data":"cleared","dp_rank":0}}',
    '{"worker_id":1,"event":{"event_id":1,"data":"cleared","dp_rank":-1}}',
    '{"worker_id":1,"event":{"event_id":1,"data":"gone","dp_rank":0}}',
    '{"worker_id":1,"event":{"event_id":1,"data":{"stored":{"parent_hash":null,"blocks":{}}},"dp_rank":0}}',
    '{"worker_id":1,"event":{"event_id":1,"data":{"stored":{"parent_hash":null,"blocks":[{"block_hash":1}]}},"dp_rank":0}}',
    '{"worker_id":1}',
    "[]x",
    "",
  ])("refuses %s with a protocol error", (json) => {
    expect(() => decode(json)).toThrow(expect.objectContaining({ code: "protocol_error" }));
  });

  it("ends in events or a protocol error for whatever bytes come, half of them damaged real messages", () => {
    const real = runs
      .flatMap((run) => run.nats_messages ?? [])
      .map(({ hex, text }) => (hex === undefined ? Buffer.from(text!) : Buffer.from(hex, "hex")));
    const damaged = fc
      .tuple(fc.nat(real.length - 1), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.nat())
      .map(([index, changes, cut]) => {
        const bytes = Buffer.from(real[index]!);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes.subarray(0, bytes.length - (cut % 3 === 0 ? cut % bytes.length : 0));
      });
    const check = (decode: () => unknown) => {
      try {
        decode();
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== "protocol_error") throw error;
      }
    };
    fc.assert(
      fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        check(() => decodeRouterEvents(bytes));
        check(() => decodeRouterEvents(decodeEnvelope(bytes).payload));
        check(() => decodeZmqFrames([bytes, bytes, bytes, bytes]));
      }),
      { numRuns: 10_000 },
    );
    expect(decodeRouterEvents(decodeEnvelope(real.at(-1)!).payload).length).toBeGreaterThan(0);
  });
});
