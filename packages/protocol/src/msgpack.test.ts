import { decode as libraryDecode, encode as libraryEncode } from "@msgpack/msgpack";
import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "./errors.ts";
import { decodeMsgpack, encodeMsgpack } from "./msgpack.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("encodeMsgpack", () => {
  it.each<[unknown, string]>([
    [0, "00"],
    [127, "7f"],
    [128n, "cc80"],
    [256, "cd0100"],
    [65536n, "ce00010000"],
    [4294967295, "ceffffffff"],
    [4294967296, "cf0000000100000000"],
    [18446744073709551615n, "cfffffffffffffffff"],
    [-1n, "ff"],
    [-33, "d0df"],
    [-2147483649, "d3ffffffff7fffffff"],
    [-(1n << 63n), "d38000000000000000"],
    [0.1, "cb3fb999999999999a"],
    [null, "c0"],
    [{ a: undefined, b: 1 }, "81a16201"],
    [new Uint8Array([1, 2]), "c4020102"],
    [new Uint32Array([1, 2]), "920102"],
  ])("writes %o in its shortest form", (value, expected) => {
    expect(hex(encodeMsgpack(value))).toBe(expected);
  });

  it("never writes an integer as a float", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(encodeMsgpack(value)[0]).not.toBe(0xcb);
      }),
    );
  });
});

describe("decodeMsgpack", () => {
  const integer = fc.oneof(
    fc.maxSafeInteger(),
    fc.bigInt({ min: 1n << 53n, max: (1n << 64n) - 1n }),
    fc.bigInt({ min: -(1n << 63n), max: -(1n << 53n) }),
  );
  const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      integer,
      fc.double({ noNaN: true }).filter((value) => !Number.isInteger(value)),
      fc.string({ unit: "grapheme", maxLength: 60 }).map((text) => text.toWellFormed()),
      fc.constantFrom(null, true, false),
      fc.uint8Array({ maxLength: 400 }),
      fc.array(tie("value"), { maxLength: 20 }),
      fc.dictionary(
        fc
          .string({ maxLength: 30 })
          .map((text) => text.toWellFormed())
          .filter((text) => text !== "__proto__"),
        tie("value"),
      ),
    ),
  }));

  it("gives back what was encoded, u64 included", () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(decodeMsgpack(encodeMsgpack(value))).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  it("reads what the library writes, and the library reads what we write", () => {
    fc.assert(
      fc.property(
        fc.jsonValue().filter((value) => !JSON.stringify(value).includes("__proto__")),
        (value) => {
          expect(decodeMsgpack(libraryEncode(value))).toEqual(libraryDecode(libraryEncode(value)));
          expect(libraryDecode(encodeMsgpack(value))).toEqual(libraryDecode(libraryEncode(value)));
        },
      ),
      { numRuns: 300 },
    );
  });

  it("gives a u64 that is small as a number, whatever its width", () => {
    expect(decodeMsgpack(Buffer.from("cf0000000000000005", "hex"))).toBe(5);
    expect(decodeMsgpack(Buffer.from("d3ffffffffffffffff", "hex"))).toBe(-1);
    expect(decodeMsgpack(Buffer.from("cf0020000000000000", "hex"))).toBe(9007199254740992n);
  });

  it("keeps __proto__ as a member", () => {
    const value = decodeMsgpack(
      Buffer.concat([Buffer.from([0x81, 0xa9]), Buffer.from("__proto__"), Buffer.from([0x81, 0xa1, 0x78, 0x01])]),
    ) as object;
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  it.each([
    ["nothing", ""],
    ["a reserved byte", "c1"],
    ["an extension", "d40100"],
    ["a string cut short", "a568656c"],
    ["an array of 4 billion items in 5 bytes", "ddffffffff"],
    ["a map of 4 billion members in 5 bytes", "dfffffffff"],
    ["a number as a map key", "810101"],
    ["invalid UTF-8", "a1ff"],
    ["surplus bytes", "0101"],
    ["endless nesting", "91".repeat(200)],
  ])("refuses %s", (_what, bytes) => {
    expect(() => decodeMsgpack(Buffer.from(bytes, "hex"))).toThrow(AppError);
  });

  it("gives an AppError or a value for 10 000 mutated real events, and reads the next whole one", () => {
    const messages = realEnvelopes();
    expect(messages.length).toBeGreaterThan(20);
    fc.assert(
      fc.property(
        fc.constantFrom(...messages),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        fc.nat(),
        (message, flips, cut) => {
          const bytes = Uint8Array.from(message);
          for (const [at, byte] of flips) bytes[at % bytes.length] = byte;
          try {
            decodeMsgpack(cut % 2 === 0 ? bytes : bytes.subarray(0, cut % bytes.length));
          } catch (error) {
            expect(error).toBeInstanceOf(AppError);
          }
          expect(decodeMsgpack(message)).toMatchObject({ topic: "kv-events" });
        },
      ),
      { numRuns: 10_000 },
    );
  });
});

/** Every core-NATS message of real publishers whose bytes are recorded. */
function realEnvelopes(): Uint8Array[] {
  const found: Uint8Array[] = [];
  const visit = (value: unknown): void => {
    if (typeof value === "string" && /^85ac7075626c69736865725f6964[0-9a-f]+$/.test(value)) found.push(Buffer.from(value, "hex"));
    else if (typeof value === "object" && value !== null) Object.values(value).forEach(visit);
  };
  visit(golden("kv/events-wire.json"));
  return found;
}
