import { Buffer } from "node:buffer";
import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { decodeRequestEnvelope, encodeControl, encodeRequestEnvelope } from "./control.ts";
import { AckDecoder, decodeTcpHeaders, encodeAck, encodeTcpRequest, encodeTcpRequestParts, TcpRequestDecoder } from "./tcp-frame.ts";

interface Vector {
  readonly caller: string;
  readonly hex: string;
  readonly path: string;
  readonly headers_text: string;
  readonly control_text: string;
  readonly body_codec: "json" | "msgpack";
  readonly body_hex: string;
}

const { vectors } = golden<{ vectors: Vector[] }>("wire/codec-tcp-request.json");
const limits = { requestBytesMax: 32 * 1024, frameBytesMax: 32 * 1024 };

describe("request frames of real frontends", () => {
  it("decode to the recorded path, headers, control and body", () => {
    for (const vector of vectors) {
      const [request] = new TcpRequestDecoder(limits).push(Buffer.from(vector.hex, "hex"));
      expect(request!.path).toBe(vector.path);
      expect(request!.headers.toString()).toBe(vector.headers_text);
      expect(decodeTcpHeaders(request!.headers)).toEqual(JSON.parse(vector.headers_text));
      const { control, codec, body } = decodeRequestEnvelope(request!.envelope, limits);
      const written = JSON.parse(vector.control_text);
      const info = JSON.parse(written.connection_info.info);
      expect(control).toMatchObject({ contextId: written.id, callHome: { address: info.address, subject: info.subject } });
      expect(codec).toBe(vector.body_codec);
      expect(body.toString("hex")).toBe(vector.body_hex);
    }
  });

  it("are written by us byte for byte, with and without payload_codec", () => {
    for (const vector of vectors) {
      const [request] = new TcpRequestDecoder(limits).push(Buffer.from(vector.hex, "hex"));
      const { control, body } = decodeRequestEnvelope(request!.envelope, limits);
      const { metadata: _none, ...sent } = control;
      expect(encodeControl(sent)).toBe(vector.control_text);
      expect(encodeTcpRequestParts(vector.path, vector.headers_text, encodeRequestEnvelope(sent, body)).toString("hex")).toBe(vector.hex);
    }
  });

  it("decode alike when cut at every byte offset, and glued together under any split", () => {
    const stream = Buffer.concat(vectors.map((vector) => Buffer.from(vector.hex, "hex")));
    const paths = vectors.map((vector) => vector.path);
    for (const vector of vectors.slice(0, 6)) {
      const frame = Buffer.from(vector.hex, "hex");
      for (let cut = 0; cut <= frame.length; cut++) {
        const decoder = new TcpRequestDecoder(limits);
        const requests = [...decoder.push(frame.subarray(0, cut)), ...decoder.push(frame.subarray(cut))];
        expect(requests.map((request) => request.path)).toEqual([vector.path]);
      }
    }
    const slow = new TcpRequestDecoder(limits);
    expect([...stream].flatMap((byte) => slow.push(Buffer.of(byte))).map((request) => request.path)).toEqual(paths);
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 5_000 }), (length) => {
        const decoder = new TcpRequestDecoder(limits);
        const requests = [];
        for (let at = 0; at < stream.length; at += length) requests.push(...decoder.push(stream.subarray(at, at + length)));
        expect(requests.map((request) => request.path)).toEqual(paths);
      }),
    );
  });

  it("carry x-endpoint-path when we write the headers", () => {
    const [request] = new TcpRequestDecoder(limits).push(encodeTcpRequest("2a/generate", { "request-id": "r" }, Buffer.from("x")));
    expect(decodeTcpHeaders(request!.headers)).toEqual({ "x-endpoint-path": "2a/generate", "request-id": "r" });
  });
});

describe("TcpRequestDecoder", () => {
  it("refuses an envelope above the limit before its bytes come", () => {
    const frame = encodeTcpRequest("p", {}, Buffer.alloc(limits.requestBytesMax + 1));
    expect(() => new TcpRequestDecoder(limits).push(frame.subarray(0, 64))).toThrow(AppError);
  });

  it("refuses headers that are no JSON object, and leaves out values that are no text", () => {
    for (const text of ["", "[]", "1", "null", "{"]) expect(() => decodeTcpHeaders(Buffer.from(text))).toThrow(AppError);
    expect(decodeTcpHeaders(Buffer.from('{"a":"b","n":1}'))).toEqual({ a: "b" });
  });
});

describe("acks", () => {
  it("arrive in order, empty or with a text, however they are split", () => {
    const texts = ["", "Server overloaded: worker at capacity", "", "Unknown endpoint: é"];
    const stream = Buffer.concat(texts.map((text) => encodeAck(text)));
    expect(stream.toString("hex").startsWith("00000000")).toBe(true);
    for (let cut = 0; cut <= stream.length; cut++) {
      const decoder = new AckDecoder();
      const acks = [...decoder.push(stream.subarray(0, cut)), ...decoder.push(stream.subarray(cut))];
      expect(acks.map(String)).toEqual(texts);
    }
  });

  it("of absurd length are refused", () => {
    expect(() => new AckDecoder().push(Buffer.from("ffffffff", "hex"))).toThrow(AppError);
  });
});
