import { Buffer } from "node:buffer";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import {
  decodeCallerControl,
  decodeHandshake,
  decodePrologue,
  encodeHandshake,
  encodePrologue,
  isSentinel,
  killFrame,
  sentinelFrame,
  stopFrame,
} from "./call-home.ts";
import { decodeTwoPart } from "./two-part.ts";

const limits = { frameBytesMax: 64 * 1024 };
const conversations = ["nats-0.9.1", "nats-1.0.2", "nats-1.4.2", "nats-1.6.1", "tcp-0.9.1", "tcp-1.6.1"];

interface Frame {
  readonly what: string;
  readonly hex: string;
}

/** Hex of every control frame of that kind in the conversations of real endpoints with a caller. */
function recorded(what: string): string[] {
  return conversations.flatMap((name) => {
    const { cases } = golden<{ cases: { frames: Frame[] }[] }>(`wire/endpoint-${name}.json`);
    return cases.flatMap(({ frames }) => frames.filter((frame) => frame.what === what).map((frame) => frame.hex));
  });
}

function headerOf(hex: string): Buffer {
  return decodeTwoPart(Buffer.from(hex, "hex"), limits).header;
}

describe("control frames of real workers and callers", () => {
  it("handshakes name their subject and are written alike", () => {
    const handshakes = recorded("handshake");
    expect(handshakes.length).toBeGreaterThan(200);
    for (const hex of handshakes) expect(encodeHandshake(decodeHandshake(headerOf(hex))).toString("hex")).toBe(hex);
  });

  it("prologues say null and are written alike", () => {
    for (const hex of recorded("prologue")) {
      expect(decodePrologue(headerOf(hex))).toBeNull();
      expect(encodePrologue(null).toString("hex")).toBe(hex);
    }
  });

  it("the sentinel, stop and kill have the recorded bytes", () => {
    expect(new Set(recorded("sentinel"))).toEqual(new Set([sentinelFrame.toString("hex")]));
    const controls = new Set(recorded("control"));
    expect(controls.has(stopFrame.toString("hex")) && controls.has(killFrame.toString("hex"))).toBe(true);
  });
});

describe("call-home control messages", () => {
  it("a prologue with a text is a refusal", () => {
    expect(decodePrologue(Buffer.from('{"error":"refused by worker"}'))).toBe("refused by worker");
    expect(headerOf(encodePrologue("no").toString("hex")).toString()).toBe('{"error":"no"}');
  });

  it("stop is stop and everything else is kill", () => {
    expect(decodeCallerControl(Buffer.from('"stop"'))).toBe("stop");
    for (const text of ['"kill"', '"garbage"', "", "stop", "{}"]) expect(decodeCallerControl(Buffer.from(text))).toBe("kill");
  });

  it("only the sentinel is a sentinel", () => {
    expect(isSentinel(Buffer.from('"sentinel"'))).toBe(true);
    for (const text of ["", "sentinel", '"sentinel" ', '{"error":null}']) expect(isSentinel(Buffer.from(text))).toBe(false);
  });

  it("malformed handshakes and prologues are protocol errors", () => {
    for (const text of ["", "{}", "[]", '{"subject":"","stream_type":"response"}', '{"subject":"s","stream_type":"request"}']) {
      expect(() => decodeHandshake(Buffer.from(text)), text).toThrow(AppError);
    }
    for (const text of ["", "[]", '{"error":1}', '"sentinel"']) expect(() => decodePrologue(Buffer.from(text)), text).toThrow(AppError);
  });
});
