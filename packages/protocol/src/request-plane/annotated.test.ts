import { Buffer } from "node:buffer";
import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { decodeDataFrame, encodeFinal, encodeItem, isFinalFrame } from "./annotated.ts";

interface Vector {
  readonly what: string;
  readonly case: string;
  readonly body_codec: "json" | "msgpack" | null;
  readonly body_hex: string;
  readonly body_text: string | null;
  readonly body_decoded_as_json_text: string;
}

const { vectors } = golden<{ vectors: Vector[] }>("wire/codec-two-part.json");
const dataFrames = vectors.filter((vector) => vector.what === "item" || vector.what === "final");

/** The form in which the golden file prints bigint members of msgpack bodies. */
function printed(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_name, member) => (typeof member === "bigint" ? `${member}n` : member)));
}

describe("data frames of real workers", () => {
  it("decode to the recorded item, in both codecs", () => {
    for (const vector of dataFrames) {
      if (vector.case === "types json") continue; // next test: JSON.parse rounds its u64
      const { item, final } = decodeDataFrame(vector.body_codec!, Buffer.from(vector.body_hex, "hex"));
      const written = JSON.parse(vector.body_decoded_as_json_text);
      expect(final).toBe(written.complete_final);
      expect(printed(item ?? null)).toEqual(written.data ?? null);
    }
  });

  it("keep u64 and i64 exact in both codecs", () => {
    for (const name of ["types json", "types msgpack"]) {
      const vector = dataFrames.find((candidate) => candidate.case === name && candidate.body_decoded_as_json_text.includes("u64"))!;
      const { item } = decodeDataFrame(vector.body_codec!, Buffer.from(vector.body_hex, "hex"));
      expect(item!.data).toMatchObject({ u64: 18446744073709551615n, i64: -9223372036854775808n, f: 0.1, i: 1 });
    }
  });

  it("are written by us byte for byte, but for floats like 1e300, which JavaScript spells otherwise", () => {
    for (const vector of dataFrames.filter(({ body_text }) => body_text !== null && !/e\+?300/.test(body_text))) {
      const { item, final } = decodeDataFrame("json", Buffer.from(vector.body_hex, "hex"));
      expect((final ? encodeFinal("json") : encodeItem("json", item!)).toString()).toBe(vector.body_text);
    }
    expect(encodeFinal("msgpack").toString("hex")).toBe("81ae636f6d706c6574655f66696e616cc3");
  });

  it("are told apart, item or end, without a parse of the item", () => {
    const jsonFrames = dataFrames.filter((vector) => vector.body_codec === "json");
    for (const vector of jsonFrames) expect(isFinalFrame(Buffer.from(vector.body_hex, "hex"))).toBe(vector.what === "final");
    expect(isFinalFrame(Buffer.from('not even JSON,"complete_final":false}'))).toBe(false);
  });
});

describe("isFinalFrame", () => {
  it("agrees with a full parse for every spelling of a frame", () => {
    const item = fc.record({ data: fc.oneof(fc.string(), fc.constant('"complete_final":false}'), fc.jsonValue()) });
    const frame = fc.record({ data: item, complete_final: fc.boolean(), indent: fc.constantFrom(undefined, 1), endFirst: fc.boolean() });
    fc.assert(
      fc.property(frame, ({ data, complete_final, indent, endFirst }) => {
        const text = JSON.stringify(endFirst ? { complete_final, data } : { data, complete_final }, null, indent);
        expect(isFinalFrame(Buffer.from(text))).toBe(complete_final);
      }),
      { numRuns: 500 },
    );
  });
});

describe("decodeDataFrame", () => {
  it("leaves out null members but keeps null data, as workers do", () => {
    const decode = (text: string) => decodeDataFrame("json", Buffer.from(text)).item;
    expect(decode('{"data":{"data":null,"event":null,"comment":null,"error":null,"id":null},"complete_final":false}')).toEqual({
      data: null,
    });
    expect(decode('{"data":{},"complete_final":false}')).toEqual({});
  });

  it("takes an item and the end in one frame", () => {
    expect(decodeDataFrame("json", Buffer.from('{"data":{"data":1},"complete_final":true}'))).toEqual({ final: true, item: { data: 1 } });
  });

  it("refuses what is neither an item nor the end", () => {
    const wrong = [
      "",
      "{}",
      "[]",
      '{"complete_final":false}',
      '{"data":{}}',
      '{"data":1,"complete_final":false}',
      '{"data":{"comment":1},"complete_final":false}',
    ];
    for (const text of wrong) expect(() => decodeDataFrame("json", Buffer.from(text)), text).toThrow(AppError);
    expect(() => decodeDataFrame("msgpack", Buffer.from("c1", "hex"))).toThrow(AppError);
  });
});
