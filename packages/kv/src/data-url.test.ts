import { ImageProblem } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dataUrlPieces, isDataUrl } from "./data-url.ts";

function read(url: string, limit = 16 * 1024 * 1024): Buffer | string {
  try {
    return Buffer.concat([...dataUrlPieces(url, limit)]);
  } catch (error) {
    if (error instanceof ImageProblem) return error.reason;
    throw error;
  }
}

describe("dataUrlPieces", () => {
  it("gives back any bytes that were written as base64, however many pieces they take", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 98_300, max: 98_310 }).map((size) => new Uint8Array(size)),
    );
    fc.assert(
      fc.property(bytes, (content) => {
        const url = `data:image/png;base64,${Buffer.from(content).toString("base64")}`;
        const bytes = read(url);
        expect(typeof bytes !== "string" && bytes.equals(content)).toBe(true);
      }),
    );
  });

  it("refuses one character outside the alphabet, wherever it stands", () => {
    const base64 = Buffer.from("0123456789abcdef01").toString("base64");
    fc.assert(
      fc.property(fc.integer({ min: 0, max: base64.length }), fc.constantFrom(" ", "-", "_", "%", "é", "=", "😀"), (at, character) => {
        fc.pre(character !== "=" || at !== base64.length - 1); // there it would be padding
        const spoilt = base64.slice(0, at) + character + base64.slice(at + 1);
        expect(read(`data:image/png;base64,${spoilt}`)).toBe("malformed-data-url");
      }),
    );
  });

  it("takes padding at the very end only", () => {
    const padded = `${"A".repeat(131_070)}==`; // as long as one piece
    expect(read(`data:image/png;base64,${padded}`)).toHaveLength(98_302);
    expect(read(`data:image/png;base64,${padded}AAAA`)).toBe("malformed-data-url");
  });

  it("counts the limit in UTF-8 bytes of the whole URL", () => {
    const url = "data:image/é;base64,AAAA";
    expect(read(url, 25)).toHaveLength(3);
    expect(read(url, 24)).toBe("too-large");
  });

  it("knows a data: URL by its scheme in any case, behind blanks", () => {
    expect([" DATA:image/png,", "data:", "https://data:80/", "/data:"].map(isDataUrl)).toEqual([true, true, false, false]);
  });
});
