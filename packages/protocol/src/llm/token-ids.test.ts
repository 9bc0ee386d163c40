import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { memberSpans } from "../json-splice.ts";
import { tokenIdsAt } from "./token-ids.ts";

function read(array: string): number[] {
  const json = Buffer.from(`{"a":1,"token_ids":${array},"b":[9]}`);
  return [...tokenIdsAt(json, memberSpans(json).get("token_ids")!)];
}

describe("tokenIdsAt", () => {
  it("reads any list of u32, compact or indented", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffffffff })), fc.constantFrom(0, 2), (ids, indent) => {
        expect(read(JSON.stringify(ids, null, indent))).toEqual(ids);
      }),
    );
  });

  it("reads an empty list", () => {
    expect(read("[]")).toEqual([]);
    expect(read("[ \n]")).toEqual([]);
  });

  it.each([
    "[-1]",
    "[1.5]",
    "[4294967296]",
    "[99999999999999999999999]",
    "[1,]",
    "[,1]",
    "[1 2]",
    '["1"]',
    "[[1]]",
    "null",
    "{}",
    "7",
    "[1]]",
  ])("refuses %s", (array) => {
    expect(() => read(array)).toThrow(AppError);
  });
});
