import { Buffer } from "node:buffer";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "./errors.ts";
import { memberSpans, spliceMembers } from "./json-splice.ts";

const textAt = (json: Buffer, span: { start: number; end: number } | undefined) =>
  span ? json.toString("utf8", span.start, span.end) : undefined;

describe("memberSpans", () => {
  it("finds each top-level value and nothing below", () => {
    const json = Buffer.from(' {"a" : [1,{"b":2}], "é\\"": "x\\\\\\"}", "n":-1.5e3 ,"o":{"a":"]"}, "t":true}\n');
    const spans = memberSpans(json);
    expect([...spans].map(([name, span]) => [name, textAt(json, span)])).toEqual([
      ["a", '[1,{"b":2}]'],
      ['é"', '"x\\\\\\"}"'],
      ["n", "-1.5e3"],
      ["o", '{"a":"]"}'],
      ["t", "true"],
    ]);
  });

  it("cuts every object where the parser would", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 2), (object, indent) => {
        const json = Buffer.from(JSON.stringify(object, null, indent));
        const members = [...memberSpans(json)].map(([name, span]) => [name, JSON.parse(textAt(json, span) ?? "")]);
        expect(members).toEqual(Object.entries(JSON.parse(json.toString()) as object));
      }),
      { numRuns: 400 },
    );
  });

  it.each(["", "[]", '"a"', "{", '{"a"}', '{"a":}', '{"a":1,}', '{"a":1 "b":2}', '{"a":[1}', '{"a":"x}', '{"a":1} x', "{1:2}"])(
    "refuses %s",
    (text) => {
      expect(() => memberSpans(Buffer.from(text))).toThrow(AppError);
    },
  );

  it("skips a 20 MB string without looking at each byte twice", () => {
    const json = Buffer.from(`{"image":"data:${"A".repeat(20_000_000)}","x":1}`);
    expect(textAt(json, memberSpans(json).get("x"))).toBe("1");
  });
});

describe("spliceMembers", () => {
  it("replaces and appends members and leaves every other byte alone", () => {
    const json = Buffer.from('{ "big": 18446744073709551615,\t"routing" : {"x":1.0}, "z":[ ] }');
    const out = spliceMembers(
      json,
      new Map([
        ["new", "[1]"],
        ["routing", '{"x":1.0,"dp_rank":0}'],
      ]),
    );
    expect(out.toString()).toBe('{ "big": 18446744073709551615,\t"routing" : {"x":1.0,"dp_rank":0}, "z":[ ] ,"new":[1]}');
  });

  it("appends to an empty object without a comma", () => {
    expect(
      spliceMembers(
        Buffer.from("{}"),
        new Map([
          ["a", "1"],
          ["b", "2"],
        ]),
      ).toString(),
    ).toBe('{"a":1,"b":2}');
  });

  it("equals changing the decoded object", () => {
    const names = fc.constantFrom("a", "b", "c", "d", "e");
    fc.assert(
      fc.property(fc.dictionary(names, fc.jsonValue()), fc.dictionary(names, fc.jsonValue()), (object, changes) => {
        const out = spliceMembers(
          Buffer.from(JSON.stringify(object)),
          new Map(Object.entries(changes).map(([name, value]) => [name, JSON.stringify(value)])),
        );
        expect(JSON.parse(out.toString())).toEqual(JSON.parse(JSON.stringify({ ...object, ...changes })));
      }),
      { numRuns: 400 },
    );
  });
});
