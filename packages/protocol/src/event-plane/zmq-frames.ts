// The four frames of a ZMQ event message.
//
//   0  topic, UTF-8      1  publisher_id, u64 BE      2  sequence, u64 BE      3  01 ‖ u32 BE length ‖ envelope
//
// Source: kv.md §4.5 (run 1.0.2, 1.4.2, 1.6.1); vectors: the zmq runs of kv/events-wire.json.
import { AppError } from "../errors.ts";
import type { U64 } from "../u64.ts";
import { decodeEnvelope, encodeEnvelope, type EventEnvelope } from "./envelope.ts";

const formatVersion = 0x01;
const headLength = 5; // version byte and u32 length

/** The frames of one message; topic, publisher and sequence are those of the envelope. */
export function encodeZmqFrames(envelope: EventEnvelope): readonly Uint8Array[] {
  const body = encodeEnvelope(envelope);
  const last = Buffer.alloc(headLength + body.length);
  last.writeUInt8(formatVersion, 0);
  last.writeUInt32BE(body.length, 1);
  last.set(body, headLength);
  return [Buffer.from(envelope.topic), u64Frame(envelope.publisher_id), u64Frame(envelope.sequence), last];
}

/** A message whose frames fit together; its envelope is not decoded. */
export interface ZmqMessage {
  readonly publisherId: U64;
  readonly sequence: U64;
  /** As a NATS message of the same event would hold it. */
  readonly envelope: Uint8Array;
}

/**
 * Takes the frames apart.
 *
 * @throws AppError `protocol_error`
 */
export function readZmqFrames(frames: readonly Uint8Array[]): ZmqMessage {
  const [, publisher, sequence, last] = frames;
  if (frames.length !== 4 || last === undefined) throw new AppError("protocol_error", `a ZMQ event has 4 frames, not ${frames.length}`);
  const buffer = Buffer.from(last.buffer, last.byteOffset, last.byteLength);
  if (buffer.length < headLength || buffer.readUInt8(0) !== formatVersion || buffer.readUInt32BE(1) !== buffer.length - headLength) {
    throw new AppError("protocol_error", "the last frame of a ZMQ event has no valid head");
  }
  return { publisherId: u64Of(publisher!), sequence: u64Of(sequence!), envelope: buffer.subarray(headLength) };
}

/**
 * The envelope; the first three frames only repeat it.
 *
 * @throws AppError `protocol_error`
 */
export function decodeZmqFrames(frames: readonly Uint8Array[]): EventEnvelope {
  return decodeEnvelope(readZmqFrames(frames).envelope);
}

function u64Of(frame: Uint8Array): U64 {
  if (frame.length !== 8) throw new AppError("protocol_error", `a number of a ZMQ event has 8 bytes, not ${frame.length}`);
  return Buffer.from(frame.buffer, frame.byteOffset, 8).readBigUInt64BE(0);
}

function u64Frame(value: U64): Buffer {
  const frame = Buffer.alloc(8);
  frame.writeBigUInt64BE(value);
  return frame;
}
