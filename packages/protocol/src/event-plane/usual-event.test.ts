import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dialectOf } from "../dialect.ts";
import { AppError } from "../errors.ts";
import type { ExternalHash, InstanceId, MmHash } from "../ids.ts";
import { encodeEnvelope } from "./envelope.ts";
import { encodeEventPayloads, routerEventFor } from "./event-form.ts";
import { decodeAnyEventMessage, decodeEventMessage } from "./event-message.ts";
import { encodeRouterEvent, type KvEventData } from "./router-event.ts";
import { readUsualEnvelope, readUsualJson, type UsualMessage } from "./usual-event.ts";

interface WireRun {
  readonly nats_messages?: readonly { hex?: string; text?: string }[];
}

const messages = golden<{ runs: WireRun[] }>("kv/events-wire.json").runs.flatMap(({ nats_messages }) => nats_messages ?? []);
const envelopes = messages.flatMap(({ hex }) => (hex === undefined ? [] : Buffer.from(hex, "hex")));
const texts = messages.flatMap(({ text }) => (text === undefined ? [] : Buffer.from(text)));

const readUsually = (bytes: Uint8Array): UsualMessage | undefined => (bytes[0] === 0x7b ? readUsualJson(bytes) : readUsualEnvelope(bytes));

/** What a reader says: the message, or that it refuses. */
function outcomeOf(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array): unknown {
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

describe("the usual form", () => {
  it("is what real publishers of every release write, and read as the general reader does", () => {
    expect([envelopes.length, texts.length]).toEqual([175, 81]);
    const unusual = [...envelopes, ...texts].filter((bytes) => readUsually(bytes) === undefined);
    expect(unusual.map((bytes) => bytes.toString("latin1"))).toEqual([]);
    for (const bytes of [...envelopes, ...texts]) expect(decodeEventMessage(bytes)).toEqual(decodeAnyEventMessage(bytes));
  });

  it("holds whatever hashes, images and numbers of blocks there are", () => {
    const hash = fc.oneof(
      fc.bigInt(0n, 2n ** 64n - 1n),
      fc.nat(300).map(BigInt),
      fc.constantFrom(10n ** 15n, 2n ** 53n, 2n ** 64n - 1n, 10n ** 19n),
    );
    const image = fc.array(hash, { maxLength: 2 }).map((hashes) => ({
      mm_objects: hashes.map((mm_hash, at) => ({ mm_hash: mm_hash as MmHash, offsets: at === 0 ? [] : [[at, 9] as const] })),
    }));
    const block = fc.record({ block_hash: hash, tokens_hash: hash, mm_extra_info: fc.option(image) });
    const data = fc.oneof(
      fc
        .record({ parent_hash: fc.option(hash), blocks: fc.array(block, { maxLength: 70 }) })
        .map((stored) => ({ stored }) as unknown as KvEventData),
      fc.array(hash, { maxLength: 70 }).map((hashes): KvEventData => ({ removed: { block_hashes: hashes as ExternalHash[] } })),
      fc.constant<KvEventData>("cleared"),
    );
    const release = fc.constantFrom("0.9.1", "1.0.2", "1.2.1", "1.4.2", "1.6.1");
    fc.assert(
      fc.property(release, hash, fc.nat(), fc.array(data, { minLength: 1, maxLength: 3 }), (name, id, dpRank, datas) => {
        const dialect = dialectOf(name);
        const events = datas.map((each) => routerEventFor(dialect, { workerId: id as InstanceId, dpRank }, id, each));
        for (const payload of encodeEventPayloads(dialect, events)) {
          const bytes = encodeEnvelope({ publisher_id: id, sequence: 1n, published_at: 2n, topic: "kv-events", payload });
          expect(readUsually(bytes)).toEqual(decodeAnyEventMessage(bytes));
        }
        if (dialect.eventPayload === "list") return;
        for (const event of events)
          expect(readUsually(encodeRouterEvent(event, "json"))).toEqual({ publisherId: undefined, events: [event] });
      }),
      { numRuns: 300 },
    );
  });

  it("is never read otherwise than the general reader does, however a message is damaged", () => {
    const some = [...envelopes.slice(0, 40), ...envelopes.slice(-40), ...texts.slice(0, 30), ...texts.slice(-10)];
    const damage = fc.array(
      fc.tuple(fc.nat(), fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0x30, 0x39, 0xcf, 0xc0, 0x90, 0x82))),
      { maxLength: 3 },
    );
    const cut = fc.option(fc.nat());
    fc.assert(
      fc.property(fc.constantFrom(...some), damage, cut, (message, changes, end) => {
        const bytes = Buffer.from(message);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        const damaged = end === null ? bytes : bytes.subarray(0, end % bytes.length);
        expect(outcomeOf(decodeEventMessage, damaged)).toEqual(outcomeOf(decodeAnyEventMessage, damaged));
      }),
      { numRuns: 20_000 },
    );
  });

  it.each([
    ["a leading zero", '{"worker_id":01,"event":{"event_id":0,"data":"cleared","dp_rank":0}}'],
    ["2^64", '{"worker_id":18446744073709551616,"event":{"event_id":0,"data":"cleared","dp_rank":0}}'],
    ["21 digits", '{"worker_id":100000000000000000000,"event":{"event_id":0,"data":"cleared","dp_rank":0}}'],
    ["a rank of 2^32", '{"worker_id":1,"event":{"event_id":0,"data":"cleared","dp_rank":4294967296}}'],
    ["surplus bytes", '{"worker_id":1,"event":{"event_id":0,"data":"cleared","dp_rank":0}} x'],
    ["a negative number", '{"worker_id":-1,"event":{"event_id":0,"data":"cleared","dp_rank":0}}'],
  ])("is not that of %s: the general reader refuses it", (_, text) => {
    expect(readUsualJson(Buffer.from(text))).toBe(undefined);
    expect(outcomeOf(decodeEventMessage, Buffer.from(text))).toBe("protocol_error");
  });

  it("takes other orders and unknown members as before, by the general reader", () => {
    const text = '{ "event": {"dp_rank": 2, "data": {"removed": {"block_hashes": [7]}}, "event_id": 3, "new": []}, "worker_id": 5}';
    expect(decodeEventMessage(Buffer.from(text))).toEqual({
      publisherId: undefined,
      events: [{ worker_id: 5n, event: { event_id: 3n, data: { removed: { block_hashes: [7n] } }, dp_rank: 2 } }],
    });
  });
});
