// Hostile bytes: whatever arrives, a decoder answers with a value or an AppError, and the next good connection is served.
import { Buffer } from "node:buffer";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { decodeDataFrame } from "./annotated.ts";
import { decodeCallerControl, decodeHandshake, decodePrologue } from "./call-home.ts";
import { decodeRequestEnvelope } from "./control.ts";
import { AckDecoder, decodeTcpHeaders, TcpRequestDecoder } from "./tcp-frame.ts";
import { TwoPartDecoder } from "./two-part.ts";
import { errorOf } from "./worker-error.ts";

const CASES = 10_000;
const limits = { frameBytesMax: 64 * 1024, requestBytesMax: 64 * 1024 };

const goldenBytes = (name: string) => golden<{ vectors: { hex: string }[] }>(name).vectors.map(({ hex }) => Buffer.from(hex, "hex"));
const streamFrames = goldenBytes("wire/codec-two-part.json");
const requestFrames = goldenBytes("wire/codec-tcp-request.json");

/** mulberry32: the same cases in every run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = randomOf(20260204);
const below = (limit: number) => Math.floor(random() * limit);

function noise(): Buffer {
  return Buffer.from(Array.from({ length: below(200) }, () => below(256)));
}

/** A golden frame with bytes flipped, cut off, repeated or put in. */
function mutated(frame: Buffer): Buffer {
  const bytes = Buffer.from(frame);
  for (let flips = below(4); flips >= 0; flips--) bytes[below(bytes.length)] = below(256);
  const at = below(bytes.length);
  switch (below(4)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), noise(), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes, bytes.subarray(at)]);
    default:
      return bytes;
  }
}

/** Runs `decode`; an AppError counts as an answer, anything else thrown fails the test. */
function survives(decode: () => void): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
}

function readStream(bytes: Buffer): void {
  const decoder = new TwoPartDecoder(limits);
  for (const { header, body } of decoder.push(bytes)) {
    for (const decode of [decodeHandshake, decodePrologue, decodeCallerControl]) survives(() => void decode(header));
    for (const codec of ["json", "msgpack"] as const) {
      survives(() => {
        const { item } = decodeDataFrame(codec, body);
        if (item) errorOf(item);
      });
    }
  }
  expect(decoder.waitingBytes).toBeLessThanOrEqual(limits.frameBytesMax + 24);
}

function readRequests(bytes: Buffer): void {
  for (const request of new TcpRequestDecoder(limits).push(bytes)) {
    survives(() => void decodeTcpHeaders(request.headers));
    survives(() => void decodeRequestEnvelope(request.envelope, limits));
  }
}

describe("10 000 hostile inputs", () => {
  it("end in a value or an AppError at every decoder, and the next good frame decodes", () => {
    for (let index = 0; index < CASES; index++) {
      const frames = index % 4 < 2 ? streamFrames : requestFrames;
      const source = frames[below(frames.length)]!;
      const hostile = index % 2 === 0 ? mutated(source) : noise();
      survives(() => readStream(hostile));
      survives(() => readRequests(hostile));
      survives(() => void decodeRequestEnvelope(hostile, limits));
      survives(() => void new AckDecoder().push(hostile));
      if (frames === streamFrames) expect(new TwoPartDecoder(limits).push(source)).toHaveLength(1);
      else expect(new TcpRequestDecoder(limits).push(source)).toHaveLength(1);
    }
  });

  it("leave the frames after them intact when their lengths are right", () => {
    for (let index = 0; index < 1_000; index++) {
      const source = streamFrames[below(streamFrames.length)]!;
      const hostile = Buffer.from(source);
      for (let at = 24; at < hostile.length; at++) if (random() < 0.1) hostile[at] = below(256);
      const frames = new TwoPartDecoder(limits).push(Buffer.concat([hostile, source]));
      expect(frames).toHaveLength(2);
      expect(Buffer.concat([frames[1]!.header, frames[1]!.body]).equals(source.subarray(24))).toBe(true);
    }
  });
});
