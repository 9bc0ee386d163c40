import { AppError, errorOf } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { errorBody, errorFace, errorTypeLabel, streamErrorBody } from "./error-response.ts";

const worker = (error: object) => errorOf({ event: "error", error: error as never })!;

describe("error answers", () => {
  it("have Dynamo's flat members first and OpenAI's object beside them", () => {
    expect(JSON.stringify(errorBody({ status: 404, message: "Model not found" }))).toBe(
      '{"message":"Model not found","type":"Not Found","code":404,"error":{"message":"Model not found","type":"not_found_error","code":404,"param":null}}',
    );
  });

  // worker-outcome-to-http.json, 1.6.1, not streamed; texts of 400 are the worker's where 1.6.1 has "Invalid request"
  it.each([
    ["an unknown failure", worker({ error_type: "Unknown", message: "boom" }), 500, "Internal server error"],
    ["a wrong argument", worker({ error_type: { Backend: "InvalidArgument" }, message: "ValueError: bad" }), 400, "ValueError: bad"],
    [
      "a text for the user",
      worker({ error_type: "Unknown", message: "m", public: { type: "message", message: "for you" } }),
      500,
      "for you",
    ],
    ["an exhausted worker", worker({ error_type: "ResourceExhausted", message: "busy" }), 529, "Service temporarily overloaded"],
    ["a named status", worker({ error_type: "Unknown", message: '{"message":"teapot","code":418}' }), 418, "teapot"],
    ["status 422", worker({ error_type: "InvalidArgument", message: '{"message":"unproc","code":422}' }), 400, "unproc"],
    ["a lost connection", worker({ error_type: "Disconnected", message: "x" }), 503, "Service temporarily unavailable"],
    ["bytes that are no answer", new AppError("protocol_error", "no token_ids"), 500, "Internal server error"],
    ["a deadline", new AppError("deadline_exceeded", "nothing for 5 ms"), 504, "Request deadline exceeded"],
    ["a bug", new AppError("internal", "undefined is not a function"), 500, "Internal server error"],
  ])("for %s have the status and words of a Dynamo frontend", (_what, error, status, message) => {
    expect(errorFace(error)).toEqual({ status, message });
  });

  it.each([
    [400, "invalid_request_error", 400],
    [418, "internal_server_error", 500],
    [503, "service_unavailable", 503],
    [504, "timeout_error", 504],
    [529, "service_unavailable", 529],
  ])("inside a stream %d has type %s", (status, type, code) => {
    const error = new AppError("worker_error", "m", { status, details: { public: "m" } });
    expect(streamErrorBody(error)).toEqual({ error: { message: "m", type, code } });
  });

  it("keep the phrase of an overload under another status", () => {
    const face = errorFace(new AppError("overloaded", "x"), 503);
    expect(errorBody({ ...face, overloaded: true })).toMatchObject({ type: "Overloaded", code: 503 });
  });

  it.each([
    ["validation", new AppError("invalid_request", "x")],
    ["not_found", new AppError("model_not_found", "x")],
    ["not_implemented", new AppError("unsupported", "x")],
    ["cancelled", new AppError("client_closed", "x")],
    ["unavailable", new AppError("worker_lost", "x")],
    ["overload", new AppError("overloaded", "x")],
    ["internal", new AppError("protocol_error", "x")],
  ])("are counted as %s", (label, error) => {
    expect(errorTypeLabel(error)).toBe(label);
  });
});
