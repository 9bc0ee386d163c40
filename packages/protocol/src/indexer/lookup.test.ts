import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import type { InstanceId } from "../ids.ts";
import { decodeLookup, decodeLookupAnswer, encodeLookup, encodeLookupAnswer } from "./lookup.ts";

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe("kv_indexer_lookup", () => {
  it("writes the question as the header comment draws it", () => {
    const bytes = encodeLookup({ modelName: "é", blockHashes: new BigUint64Array([1n, 0xff00000000000000n]) });
    expect(bytes.toString("hex")).toBe(`0002${"c3a9"}${"0100000000000000"}${"00000000000000ff"}`);
  });

  it("writes answers as the header comment draws them", () => {
    const scores = [{ worker: { workerId: 0x1122334455667788n as InstanceId, dpRank: 3 }, blocks: 260 }];
    expect(encodeLookupAnswer({ kind: "scores", scores }).toString("hex")).toBe("00887766554433221103000000" + "04010000");
    expect(encodeLookupAnswer({ kind: "error", message: "no" }).toString("latin1")).toBe("\u0001no");
  });

  it("keeps every name, hash, worker and count", () => {
    fc.assert(
      fc.property(fc.string(), fc.array(u64), (modelName, hashes) => {
        const query = { modelName: modelName.toWellFormed(), blockHashes: BigUint64Array.from(hashes) };
        expect(decodeLookup(Buffer.concat([encodeLookup(query)]))).toEqual(query);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(u64, u32, u32)), (ranks) => {
        const scores = ranks.map(([id, dpRank, blocks]) => ({ worker: { workerId: id as InstanceId, dpRank }, blocks }));
        expect(decodeLookupAnswer(encodeLookupAnswer({ kind: "scores", scores }))).toEqual({ kind: "scores", scores });
      }),
    );
  });

  it("ends in a value or a protocol error for any bytes", () => {
    const decoders = [decodeLookup, decodeLookupAnswer];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.constantFrom(...decoders), (bytes, decode) => {
        try {
          decode(Buffer.from(bytes));
        } catch (error) {
          expect((error as AppError).code).toBe("protocol_error");
        }
      }),
    );
    expect(() => decodeLookup(Buffer.of(0, 1))).toThrow(AppError);
    expect(() => decodeLookupAnswer(Buffer.alloc(0))).toThrow(AppError);
  });
});
