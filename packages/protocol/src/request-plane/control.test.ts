import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { decodeControl, encodeControl } from "./control.ts";

const sent = { contextId: "c-1", callHome: { address: "192.0.2.2:36611", subject: "s-1" } };

/** The control message with members of the message or of its connection info replaced; undefined leaves a member out. */
function controlText(changes: Record<string, unknown>, infoChanges: Record<string, unknown> = {}): Buffer {
  const info = { address: "192.0.2.2:36611", subject: "s-1", context: "c-1", stream_type: "response", ...infoChanges };
  const control = {
    id: "c-1",
    request_type: "single_in",
    response_type: "many_out",
    connection_info: { transport: "tcp_server", info: JSON.stringify(info) },
  };
  return Buffer.from(JSON.stringify({ ...control, ...changes }));
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof AppError ? error.code : String(error);
  }
  return "accepted";
}

describe("decodeControl", () => {
  it("takes members it does not know, as every release does", () => {
    const text = controlText({ zzz: 1, frontend_send_ts_ns: 1, request_stream_connection_info: null }, { more: [] });
    expect(decodeControl(text)).toMatchObject(sent);
  });

  it("hands the metadata of callers ≥ 1.4 on, and null as none", () => {
    expect(decodeControl(controlText({ metadata: { k: "v" } })).metadata).toEqual({ k: "v" });
    expect(decodeControl(controlText({ metadata: null })).metadata).toEqual({});
  });

  it("refuses another response transport by name", () => {
    const quic = controlText({ connection_info: { transport: "quic", info: "{}" } });
    expect(codeOf(() => decodeControl(quic))).toBe("unsupported");
    expect(() => decodeControl(quic)).toThrow(/quic/);
  });

  it("refuses what workers stay silent about: wrong JSON, missing members, a context that is not the id", () => {
    const wrong = [
      Buffer.from(""),
      Buffer.from("{}"),
      Buffer.from("{"),
      controlText({ id: undefined }),
      controlText({ id: "other" }),
      controlText({ response_type: "single_out" }),
      controlText({ payload_codec: "cbor" }),
      controlText({ connection_info: undefined }),
      controlText({ connection_info: { transport: "tcp_server", info: "no json" } }),
      controlText({}, { subject: undefined }),
      controlText({}, { stream_type: "request" }),
    ];
    for (const text of wrong)
      expect(
        codeOf(() => decodeControl(text)),
        text.toString(),
      ).toBe("protocol_error");
  });

  it("gives back what encodeControl wrote", () => {
    const control = { ...sent, payloadCodec: "msgpack" as const, metadata: { a: "b" } };
    expect(decodeControl(Buffer.from(encodeControl(control)))).toEqual(control);
  });
});
