import { Buffer } from "node:buffer";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { AppError, type ErrorCode } from "../errors.ts";
import { type Annotated, decodeDataFrame, encodeItem } from "./annotated.ts";
import { errorItem, errorOf } from "./worker-error.ts";

/** The error item of a recorded case of a real Python endpoint. */
function recordedError(release: string, name: string): AppError | undefined {
  const { cases } = golden<{ cases: { name: string; frames: { body?: string }[] }[] }>(`wire/endpoint-nats-${release}.json`);
  const frames = cases.find((candidate) => candidate.name === name)!.frames;
  const body = frames.find((frame) => frame.body?.startsWith('{"data":{"event":"error"'))!.body!;
  return errorOf(decodeDataFrame("json", Buffer.from(body)).item!);
}

function facts(error: AppError | undefined) {
  return { code: error?.code, status: error?.status, message: error?.message };
}

function itemOf(text: string): Annotated {
  return decodeDataFrame("json", Buffer.from(`{"data":${text},"complete_final":false}`)).item!;
}

describe("errorOf", () => {
  const prefix = "a python exception was caught while processing the async generator: ";

  it("reads a ValueError of every release as the user's mistake, with the worker's text", () => {
    for (const release of ["0.9.1", "1.0.2", "1.4.2", "1.6.1"]) {
      expect(facts(recordedError(release, "raise before first item")), release).toEqual({
        code: "invalid_request",
        status: 400,
        message: "ValueError: boom before",
      });
    }
  });

  it("reads any other exception of every release as the worker's failure, without the binding's phrase", () => {
    for (const release of ["0.9.1", "1.0.2", "1.4.2", "1.6.1"]) {
      expect(facts(recordedError(release, "raise mid-stream")), release).toEqual({
        code: "worker_error",
        status: 500,
        message: "RuntimeError: boom middle",
      });
    }
    expect(errorOf({ event: "error", comment: [`${prefix}KeyError: 'x'`] })!.message).toBe("KeyError: 'x'");
  });

  it("maps the typed exceptions of 1.4 and 1.6 alike", () => {
    const codes: Record<string, ErrorCode> = {
      Unknown: "worker_error",
      InvalidArgument: "invalid_request",
      CannotConnect: "worker_lost",
      Disconnected: "worker_lost",
      ConnectionTimeout: "deadline_exceeded",
      Cancelled: "client_closed",
      EngineShutdown: "worker_lost",
      StreamIncomplete: "worker_lost",
    };
    for (const release of ["1.4.2", "1.6.1"]) {
      for (const [type, code] of Object.entries(codes))
        expect(recordedError(release, `typed exception ${type}`)!.code, `${release} ${type}`).toBe(code);
    }
  });

  it("takes the status that an HTTP-like exception names", () => {
    for (const release of ["1.4.2", "1.6.1"]) {
      expect(facts(recordedError(release, "http-like exception 422"))).toEqual({
        code: "invalid_request",
        status: 400,
        message: "http-like",
      });
      expect(facts(recordedError(release, "http-like exception 500"))).toEqual({ code: "worker_error", status: 500, message: "http-like" });
    }
    const teapot = itemOf('{"event":"error","error":{"error_type":"Unknown","message":"{\\"message\\":\\"teapot\\",\\"code\\":418}"}}');
    expect(facts(errorOf(teapot))).toEqual({ code: "invalid_request", status: 418, message: "teapot" });
  });

  it("prefers the public text of 1.6 and keeps it apart in the details", () => {
    const item = itemOf(
      '{"event":"error","error":{"error_type":{"Backend":"InvalidArgument"},"class":"InvalidRequest","reason":"backend.invalid_argument","message":"internal path /x","public":{"type":"message","message":"pub"}}}',
    );
    const error = errorOf(item)!;
    expect(error.message).toBe("pub");
    expect(error.details).toEqual({ error_type: "InvalidArgument", reason: "backend.invalid_argument", public: "pub" });
  });

  it("falls back on the class for types it does not know, and on a fixed text when there is none", () => {
    expect(errorOf(itemOf('{"event":"error","error":{"error_type":"FromTheFuture","message":"x","class":"DeadlineExceeded"}}'))!.code).toBe(
      "deadline_exceeded",
    );
    expect(facts(errorOf({ event: "error" }))).toEqual({ code: "worker_error", status: 500, message: "unspecified error" });
    expect(errorOf(itemOf('{"error":{"error_type":7}}'))!.code).toBe("worker_error");
  });

  it("leaves messages alone that only look like JSON, or name no error status", () => {
    for (const message of ["{oops", '{"message":"x"}', '{"message":"x","code":200}', '{"code":500}']) {
      expect(facts(errorOf({ event: "error", comment: [message] }))).toEqual({ code: "worker_error", status: 500, message });
    }
  });

  it("sees no error in data, nor in other events", () => {
    expect(errorOf({ data: { token_ids: [1] } })).toBeUndefined();
    expect(errorOf({ event: "my_event", comment: ["x"] })).toBeUndefined();
  });
});

describe("errorItem", () => {
  it("writes a wrong request in the one form that gives 400 with its text in every release", () => {
    expect(encodeItem("json", errorItem(new AppError("invalid_request", "too long"))).toString()).toBe(
      '{"data":{"event":"error","comment":["too long"],"error":{"error_type":"InvalidArgument","message":"too long","class":"InvalidRequest","reason":"request.invalid","public":{"type":"message","message":"too long"}}},"complete_final":false}',
    );
  });

  it("writes every other status as JSON in the message, in comment and error", () => {
    const item = errorItem(new AppError("overloaded", "all workers are busy"));
    expect(item.comment).toEqual(['{"message":"all workers are busy","code":529}']);
    expect(item.error).toEqual({ error_type: "Unknown", message: item.comment![0] });
  });

  it("names no connection-type error, whatever the code: the frontend would set this process aside", () => {
    for (const code of ["worker_lost", "no_instances", "overloaded", "deadline_exceeded", "dependency_unreachable", "internal"] as const) {
      expect(errorItem(new AppError(code, "x")).error!.error_type).toBe("Unknown");
    }
  });

  it("says nothing about a bug but that it is one", () => {
    expect(JSON.stringify(errorItem(new AppError("internal", "cannot read x of undefined")))).not.toContain("undefined");
  });

  it("comes back through errorOf with the same status and text", () => {
    for (const code of ["invalid_request", "image_too_large", "no_instances", "overloaded", "deadline_exceeded", "worker_error"] as const) {
      const error = new AppError(code, "sentence");
      expect(facts(errorOf(errorItem(error)))).toMatchObject({ status: error.status, message: "sentence" });
    }
  });
});
