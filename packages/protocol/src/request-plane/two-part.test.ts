import { Buffer } from "node:buffer";
import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { decodeTwoPart, encodeDataFrames, encodeTwoPart, TwoPartDecoder, type TwoPartFrame } from "./two-part.ts";

interface Vector {
  readonly version: string;
  readonly case: string;
  readonly hex: string;
  readonly header_text: string | null;
  readonly body_hex: string | null;
}

const { vectors } = golden<{ vectors: Vector[] }>("wire/codec-two-part.json");
const frames = vectors.map((vector) => Buffer.from(vector.hex, "hex"));
const limits = { frameBytesMax: 64 * 1024 };

function textOf({ header, body }: TwoPartFrame): string {
  return `${header.toString("utf8")}|${body.toString("hex")}`;
}

const expected = vectors.map(({ header_text, body_hex }) => `${header_text ?? ""}|${body_hex ?? ""}`);

describe("two-part frames of real workers", () => {
  it("decode to the recorded header and body and encode to the same bytes", () => {
    for (const [index, vector] of vectors.entries()) {
      const { header, body } = decodeTwoPart(frames[index]!, limits);
      expect({ header: header.toString(), body: body.toString("hex") }).toEqual({
        header: vector.header_text ?? "",
        body: vector.body_hex ?? "",
      });
      expect(encodeTwoPart(header, body).toString("hex"), vector.case).toBe(vector.hex);
    }
  });

  it("decode alike when cut in two at every byte offset", () => {
    for (const [index, frame] of frames.entries()) {
      for (let cut = 0; cut <= frame.length; cut++) {
        const decoder = new TwoPartDecoder(limits);
        const decoded = [...decoder.push(frame.subarray(0, cut)), ...decoder.push(frame.subarray(cut))];
        expect(decoded.map(textOf)).toEqual([expected[index]]);
      }
    }
  });

  it("decode alike one byte at a time, and all at once", () => {
    const stream = Buffer.concat(frames);
    const slow = new TwoPartDecoder(limits);
    expect([...stream].flatMap((byte) => slow.push(Buffer.of(byte))).map(textOf)).toEqual(expected);
    expect(new TwoPartDecoder(limits).push(stream).map(textOf)).toEqual(expected);
  });

  it("decode alike under any split", () => {
    const stream = Buffer.concat(frames);
    const splits = fc.array(fc.integer({ min: 1, max: 2_000 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(splits, (lengths) => {
        const decoder = new TwoPartDecoder(limits);
        const decoded: string[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const end = at + lengths[turn % lengths.length]!;
          decoded.push(...decoder.push(stream.subarray(at, end)).map(textOf));
          at = end;
        }
        expect(decoded).toEqual(expected);
        expect(decoder.waitingBytes).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});

describe("TwoPartDecoder", () => {
  it("refuses a length above the limit as soon as the prefix is there, and at every call after it", () => {
    const lengths = [64n * 1024n + 1n, 1n << 32n, 1n << 63n, (1n << 64n) - 1n];
    for (const length of lengths) {
      for (const offset of [0, 8]) {
        const prefix = Buffer.alloc(24);
        prefix.writeBigUInt64BE(length, offset);
        const decoder = new TwoPartDecoder(limits);
        expect(() => decoder.push(prefix)).toThrow(/above the limit/);
        expect(() => decoder.push(frames[0]!)).toThrow(AppError);
      }
    }
  });

  it("takes a frame of exactly the limit and refuses one byte more", () => {
    const decode = (bytes: number) => decodeTwoPart(encodeTwoPart(Buffer.alloc(10), Buffer.alloc(bytes - 10)), limits);
    expect(decode(limits.frameBytesMax).body).toHaveLength(limits.frameBytesMax - 10);
    expect(() => decode(limits.frameBytesMax + 1)).toThrow(AppError);
  });

  it("never verifies the checksum, as upstream does not", () => {
    const frame = Buffer.from(frames[0]!);
    frame.fill(0xff, 16, 24);
    expect(new TwoPartDecoder(limits).push(frame).map(textOf)).toEqual([expected[0]]);
  });

  it("decodes a large frame from small chunks in time linear in its size", () => {
    const body = Buffer.alloc(3 * 1024 * 1024, 7);
    const frame = encodeTwoPart(Buffer.alloc(0), body);
    const decoder = new TwoPartDecoder({ frameBytesMax: 64 * 1024 * 1024 });
    const decoded: TwoPartFrame[] = [];
    for (let at = 0; at < frame.length; at += 100) decoded.push(...decoder.push(frame.subarray(at, at + 100)));
    expect(decoded).toHaveLength(1);
    expect(decoded[0]!.body.equals(body)).toBe(true);
  });
});

describe("decodeTwoPart", () => {
  it("refuses a request that is cut off at any byte or followed by another byte", () => {
    const frame = frames.at(-1)!;
    for (let cut = 0; cut < frame.length; cut++) expect(() => decodeTwoPart(frame.subarray(0, cut), limits)).toThrow(AppError);
    expect(() => decodeTwoPart(Buffer.concat([frame, Buffer.of(0)]), limits)).toThrow(AppError);
    expect(() => decodeTwoPart(Buffer.concat([frame, frame]), limits)).toThrow(AppError);
  });
});

describe("encodeDataFrames", () => {
  it("writes a batch of bodies as the frames that real workers sent", () => {
    const items = vectors.filter((vector) => vector.header_text === null);
    const batch = encodeDataFrames(items.map((vector) => Buffer.from(vector.body_hex ?? "", "hex")));
    expect(batch.toString("hex")).toBe(items.map((vector) => vector.hex).join(""));
  });
});
