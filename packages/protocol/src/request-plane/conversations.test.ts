// Whole conversations of a caller with real Python endpoints, frame by frame and in both directions.
import { Buffer } from "node:buffer";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { decodeDataFrame } from "./annotated.ts";
import { decodeControl, decodeRequestEnvelope, encodeRequestEnvelope } from "./control.ts";
import { AckDecoder, encodeTcpRequestParts, TcpRequestDecoder } from "./tcp-frame.ts";
import { decodeTwoPart, encodeTwoPart } from "./two-part.ts";

interface Frame {
  readonly dir: string;
  readonly what: string;
  readonly hex?: string;
  readonly header?: string;
  readonly body?: string;
}

interface Case {
  readonly name: string;
  readonly caller_options: { readonly codec?: "msgpack" };
  readonly frames: readonly Frame[];
}

const limits = { frameBytesMax: 1024 * 1024, requestBytesMax: 1024 * 1024 };
const names = ["nats-0.9.1", "nats-1.0.2", "nats-1.4.2", "nats-1.6.1", "tcp-0.9.1", "tcp-1.6.1"];
const casesOf = (name: string) => golden<{ cases: Case[] }>(`wire/endpoint-${name}.json`).cases;

/** Frames of that kind whose bytes are recorded in full, with the case they are of. */
function recorded(name: string, what: string): { of: Case; bytes: Buffer; frame: Frame }[] {
  return casesOf(name).flatMap((of) =>
    of.frames.flatMap((frame) =>
      frame.what === what && frame.hex !== undefined ? [{ of, frame, bytes: Buffer.from(frame.hex, "hex") }] : [],
    ),
  );
}

/** As the golden files print values of msgpack bodies. */
function printed(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_name, member) => (typeof member === "bigint" ? `${member}n` : member)));
}

describe.each(names)("conversation with a real endpoint, %s", (name) => {
  it("requests decode to their control message and are written alike", () => {
    const requests = name.startsWith("nats")
      ? recorded(name, "nats request").map(({ of, bytes }) => ({ of, bytes }))
      : envelopesOfTcp(name);
    expect(requests.length).toBeGreaterThan(35);
    for (const { of, bytes } of requests) {
      if (of.name === "bad control header") {
        expect(() => decodeRequestEnvelope(bytes, limits)).toThrow(AppError);
        continue;
      }
      const { control, codec, body } = decodeRequestEnvelope(bytes, limits);
      const written = JSON.parse(decodeTwoPart(bytes, limits).header.toString());
      expect(control.contextId).toBe(written.id);
      expect(codec).toBe(written.payload_codec ?? "json");
      if ("zzz" in written || "metadata" in written) continue; // members that our callers do not write, or not there
      const { metadata: _none, ...sent } = control;
      expect(encodeRequestEnvelope(sent, body).equals(bytes), of.name).toBe(true);
    }
  });

  it("control frames and items decode to what was recorded and are written alike", () => {
    for (const what of ["handshake", "prologue", "final", "sentinel", "item"]) {
      for (const { of, bytes, frame } of recorded(name, what)) {
        const { header, body } = decodeTwoPart(bytes, limits);
        expect(encodeTwoPart(header, body).equals(bytes)).toBe(true);
        if (frame.header !== undefined) expect(header.toString()).toBe(frame.header);
        if (body.length > 0) expectDataFrame(of, frame, body);
      }
    }
  });
});

function expectDataFrame(of: Case, frame: Frame, body: Buffer): void {
  const codec = of.caller_options.codec ?? "json";
  if (codec === "json") expect(body.toString()).toBe(frame.body);
  const { final, item } = decodeDataFrame(codec, body);
  const written = JSON.parse(frame.body!.replaceAll(/(?<=[:[,])(-?\d{17,})(?=[,}\]])/g, '"$1n"'));
  expect(final).toBe(written.complete_final);
  expect(printed(item ?? null), of.name).toEqual(written.data ?? null);
}

/** Envelopes out of the TCP request frames, whose path and headers must be written alike, too. */
function envelopesOfTcp(name: string): { of: Case; bytes: Buffer }[] {
  return recorded(name, "tcp frame").map(({ of, bytes }) => {
    const [request] = new TcpRequestDecoder(limits).push(bytes);
    expect(encodeTcpRequestParts(request!.path, request!.headers.toString(), request!.envelope).equals(bytes)).toBe(true);
    return { of, bytes: request!.envelope };
  });
}

describe("acks of real endpoints", () => {
  it("are empty on both planes, whatever the request was", () => {
    for (const name of ["tcp-0.9.1", "tcp-1.6.1"]) {
      for (const { bytes } of recorded(name, "tcp ack")) expect(new AckDecoder().push(bytes)).toEqual([Buffer.alloc(0)]);
    }
    for (const name of ["nats-0.9.1", "nats-1.6.1"]) {
      for (const { bytes } of recorded(name, "nats ack")) expect(bytes).toHaveLength(0);
    }
  });

  it("come for a control message that decodeControl refuses", () => {
    const broken = casesOf("tcp-1.6.1").find((candidate) => candidate.name === "bad control header")!;
    expect(broken.frames.some((frame) => frame.what === "tcp ack")).toBe(true);
    expect(() => decodeControl(Buffer.from("{}"))).toThrow(AppError);
  });
});
