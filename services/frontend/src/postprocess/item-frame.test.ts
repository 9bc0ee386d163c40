import { decodeDataFrame, encodeItem } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { itemOfFrame } from "./item-frame.ts";

/** The answer of the decoder for all frames; an error counts as one. */
function reference(frame: Buffer): unknown {
  try {
    return decodeDataFrame("json", frame).item ?? {};
  } catch {
    return "refused";
  }
}
function ours(frame: Buffer): unknown {
  try {
    return itemOfFrame(frame);
  } catch {
    return "refused";
  }
}

const step = fc.record({ token_ids: fc.array(fc.nat(200_000), { maxLength: 5 }), index: fc.nat(130) }, { requiredKeys: ["token_ids"] });
const anything = fc.record({ data: fc.jsonValue(), event: fc.string(), comment: fc.array(fc.string()) }, { requiredKeys: [] });

describe("the item of a frame", () => {
  it("is that of the decoder for tokens and for anything else", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          step.map((data) => ({ data })),
          anything,
        ),
        (item) => {
          const frame = encodeItem("json", item as object);
          expect(ours(frame)).toEqual(reference(frame));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it("is that of the decoder for token frames with a few bytes changed", () => {
    const change = fc.record({
      at: fc.nat(80),
      cut: fc.nat(2),
      put: fc.constantFrom("", "0", "9", ",", "]", "}", '"', "-", ".5", "e9", " ", "é"),
    });
    fc.assert(
      fc.property(step, change, (data, { at, cut, put }) => {
        const text = encodeItem("json", { data }).toString();
        const frame = Buffer.from(text.slice(0, at) + put + text.slice(at + cut));
        expect(ours(frame)).toEqual(reference(frame));
      }),
      { numRuns: 3000 },
    );
  });
});
