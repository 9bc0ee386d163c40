import { Buffer } from "node:buffer";
import { goldenText } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "./errors.ts";
import { type LosslessJson, JsonFloat, parseJson, parseJsonLossless, stringifyJson, stringifyJsonLossless } from "./json.ts";

/** Values whose text holds no integer beyond 2^53, where JSON.parse is right. */
const smallJson = fc.jsonValue().filter((value) => !/\d{16}/.test(JSON.stringify(value)));

function refusal(run: () => unknown): AppError {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("was accepted");
}

describe("parseJson", () => {
  it("agrees with JSON.parse on everything that has no big integer", () => {
    fc.assert(
      fc.property(smallJson, fc.constantFrom(undefined, 1, "\t"), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(parseJson(text)).toEqual(JSON.parse(text));
        expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  it("keeps every u64 and i64 exact: number within 2^53 - 1, bigint beyond", () => {
    const integer = fc.oneof(
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      fc.bigInt({ min: -(1n << 63n), max: -1n }),
      fc.maxSafeInteger().map(BigInt),
    );
    fc.assert(
      fc.property(fc.array(integer), (integers) => {
        const parsed = parseJson(`[${integers.join(",")}]`) as (number | bigint)[];
        expect(parsed.map(BigInt)).toEqual(integers);
        for (const value of parsed)
          expect(typeof value).toBe(Number.isSafeInteger(Number(value)) && BigInt(Number(value)) === BigInt(value) ? "number" : "bigint");
      }),
      { numRuns: 300 },
    );
    expect(parseJson("9007199254740991")).toBe(9007199254740991);
    expect(parseJson("9007199254740992")).toBe(9007199254740992n);
    expect(parseJson("18446744073709551615")).toBe(18446744073709551615n);
  });

  it("reads integers outside 64 bits and -0 as floats, as serde_json does", () => {
    expect(parseJson("18446744073709551616")).toBe(18446744073709551616);
    expect(parseJson("-9223372036854775809")).toBe(-9223372036854775808);
    expect(parseJson("123456789012345678901234567890")).toBe(1.2345678901234568e29);
    expect(parseJson("-0")).toBe(-0);
  });

  it.each([
    ["nothing", ""],
    ["an open object", "{"],
    ["a trailing comma in an array", "[1,]"],
    ["a trailing comma in an object", '{"a":1,}'],
    ["a missing value", '{"a":}'],
    ["an unquoted name", "{a:1}"],
    ["a leading zero", "[01]"],
    ["a leading zero in a list", "[1,02,3]"],
    ["a bare point", "1."],
    ["a bare minus", "-"],
    ["an empty exponent", "1e"],
    ["two points", "1.5.2"],
    ["a plus sign", "+1"],
    ["a number beyond f64", "[1e999]"],
    ["NaN", "NaN"],
    ["a lone high surrogate", '"\\ud800"'],
    ["a lone low surrogate", '"\\udc00"'],
    ["two high surrogates", '"\\ud800\\ud800"'],
    ["an unknown escape", '"\\x41"'],
    ["a short \\u escape", '"\\u12"'],
    ["a control character in a string", '"\u0001"'],
    ["an unterminated string", '"abc'],
    ["a byte order mark", "\ufeff1"],
    ["two values", "1 2"],
    ["a word cut short", "nul"],
    ["an array closed as an object", "[1}"],
  ])("refuses %s with an offset", (_what, text) => {
    const error = refusal(() => parseJson(text));
    expect(error.code).toBe("protocol_error");
    expect(error.details["offset"]).toBeTypeOf("number");
    expect(refusal(() => parseJsonLossless(text)).code).toBe("protocol_error");
  });

  it("refuses invalid UTF-8", () => {
    expect(refusal(() => parseJson(Buffer.from([0x22, 0xff, 0x22]))).message).toContain("UTF-8");
  });

  it("keeps __proto__ as a member and leaves prototypes alone", () => {
    const value = parseJson('{"__proto__":{"polluted":1},"constructor":2}') as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect((value as { polluted?: unknown }).polluted).toBeUndefined();
    expect(stringifyJson(value)).toBe('{"__proto__":{"polluted":1},"constructor":2}');
  });

  it("lets the last of two equal members win, or refuses when asked", () => {
    expect(parseJson('{"a":1,"b":2,"a":3}')).toEqual({ a: 3, b: 2 });
    expect([...(parseJsonLossless('{"a":1,"b":2,"a":3}') as Map<string, unknown>)]).toEqual([
      ["a", 3],
      ["b", 2],
    ]);
    expect(refusal(() => parseJson('{"a":1,"a":3}', { duplicates: "error" })).message).toContain("duplicate member a");
    expect(refusal(() => parseJsonLossless('{"a":1,"a":3}', { duplicates: "error" })).message).toContain("duplicate member a");
  });

  it("refuses what is deeper or longer than its limits, without a stack overflow", () => {
    expect(parseJson(`${"[".repeat(128)}${"]".repeat(128)}`)).toBeInstanceOf(Array);
    expect(refusal(() => parseJson(`${"[".repeat(129)}${"]".repeat(129)}`)).message).toContain("nested deeper than 128");
    expect(refusal(() => parseJson("[".repeat(1_000_000))).message).toContain("nested deeper");
    expect(refusal(() => parseJson(Buffer.from("[1,2,3]"), { bytesMax: 6 })).message).toContain("limit of 6");
  });
});

describe("parseJsonLossless", () => {
  it("keeps the order of members, also of integer-like names", () => {
    const value = parseJsonLossless('{"10":1,"2":{"b":1,"a":2},"x":3}') as Map<string, LosslessJson>;
    expect([...value.keys()]).toEqual(["10", "2", "x"]);
    expect(stringifyJsonLossless(value)).toBe('{"10":1,"2":{"b":1,"a":2},"x":3}');
  });

  it("tells 1.0 from 1 and keeps the text of floats", () => {
    expect(parseJsonLossless("[1,1.0,1e2,-0,18446744073709551615]")).toEqual([
      1,
      new JsonFloat(1, "1.0"),
      new JsonFloat(100, "1e2"),
      new JsonFloat(-0, "-0"),
      18446744073709551615n,
    ]);
  });

  it("writes back the text it read", () => {
    const json: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom("null", "true", "1.0", "-0", "2.50e+3", "18446744073709551615", "-12"),
        fc.string({ unit: "grapheme" }).map((text) => JSON.stringify(text.toWellFormed())),
        fc.array(tie("value"), { maxLength: 4 }).map((items) => `[${items.join(",")}]`),
        fc
          .uniqueArray(fc.tuple(fc.string(), tie("value")), { selector: ([name]) => name, maxLength: 4 })
          .map((members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`),
      ),
    })).value;
    fc.assert(
      fc.property(json, (text) => {
        expect(stringifyJsonLossless(parseJsonLossless(text))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });
});

describe("stringifyJson", () => {
  it("writes what reads back as the same value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(parseJson(stringifyJson(value))).toEqual(value);
      }),
      { numRuns: 300 },
    );
  });

  it("writes bigint as digits, typed arrays as arrays, leaves undefined members out", () => {
    expect(
      stringifyJson({
        id: 18446744073709551615n,
        ids: new BigUint64Array([1n, 18446744073709551615n]),
        tokens: new Uint32Array([1, 2]),
        gone: undefined,
        bad: Number.NaN,
      }),
    ).toBe('{"id":18446744073709551615,"ids":[1,18446744073709551615],"tokens":[1,2],"bad":null}');
  });

  it("writes a lone surrogate as U+FFFD, so that every reader takes the text", () => {
    expect(parseJson(stringifyJson("a\ud800b"))).toBe("a\ufffdb");
  });
});

describe("hostile text", () => {
  it("gives an AppError or a value for 5 000 mutations of a real card, never another error", () => {
    const card = goldenText("wire/discovery.json").slice(0, 4000);
    const mutation = fc.record({ at: fc.nat(card.length), cut: fc.nat(8), text: fc.string({ unit: "binary", maxLength: 6 }) });
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
        const text = mutations.reduce((t, { at, cut, text: put }) => t.slice(0, at) + put + t.slice(at + cut), card);
        for (const parse of [parseJson, parseJsonLossless]) {
          try {
            parse(text);
          } catch (error) {
            expect(error).toBeInstanceOf(AppError);
          }
        }
      }),
      { numRuns: 2500 },
    );
  });
});
