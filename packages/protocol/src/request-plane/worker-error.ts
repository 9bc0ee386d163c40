// Errors inside a response stream: what every release's workers write, and what ours write so that every release understands.
//
//   0.7, 0.9    {"event":"error","comment":["a python exception was caught …: ValueError: boom"]}
//   1.0         {"event":"error","error":{"error_type":"Unknown","message":"a python exception was caught …: ValueError: boom"}}
//   1.2 … 1.5   error_type {"Backend":"InvalidArgument"}, message "ValueError: boom"
//   1.6         the same plus class, reason, diagnostic, and public for texts meant for the user
//   any         message = JSON text {"message":…,"code":422}: an exact HTTP status
//
// Source: captured from 0.9.1, 1.0.2, 1.4.2, 1.6.1 (endpoint-*.json); what real frontends make of each form:
// worker-outcome-to-http.json. 0.9.1 reads only `comment`; 1.0.2 fails on every error_type it does not know.
import { AppError, type ErrorCode } from "../errors.ts";
import { parseJson } from "../json.ts";
import type { Annotated, ErrorObject } from "./annotated.ts";

/** Facts of a worker's error that AppError.details carries. */
export interface WorkerErrorDetails {
  /** `InvalidArgument`, `EngineShutdown`, …; absent ≤ 0.9. */
  readonly error_type?: string;
  /** 1.6: `backend.invalid_argument`, … */
  readonly reason?: string;
  /** The text that the worker meant for the user, when it named one. */
  readonly public?: string;
}

const codeOfErrorType: Readonly<Record<string, ErrorCode>> = {
  InvalidArgument: "invalid_request",
  ResourceExhausted: "overloaded",
  CannotConnect: "worker_lost",
  Disconnected: "worker_lost",
  EngineShutdown: "worker_lost",
  StreamIncomplete: "worker_lost",
  Unavailable: "worker_lost",
  ConnectionTimeout: "deadline_exceeded",
  ResponseTimeout: "deadline_exceeded",
  Cancelled: "client_closed",
};

const codeOfClass: Readonly<Record<string, ErrorCode>> = {
  InvalidRequest: "invalid_request",
  Unavailable: "worker_lost",
  DeadlineExceeded: "deadline_exceeded",
  Cancelled: "client_closed",
};

const caughtByBinding = "a python exception was caught while processing the async generator: ";

/**
 * The error that an item carries, or undefined for any other item.
 *
 * Its message is the public text, else the worker's; `details` are `WorkerErrorDetails`.
 */
export function errorOf(item: Annotated): AppError | undefined {
  if (item.event !== "error" && item.error === undefined) return undefined;
  const written = item.error?.message || item.comment?.[0] || "unspecified error";
  const named = namedStatusOf(written);
  const text = withoutPrefix(named?.message ?? written);
  const code = named ? codeOfStatus(named.status) : codeOf(item.error, text);
  return new AppError(code, item.error?.public?.message ?? text, {
    details: detailsOf(item.error),
    ...(named && { status: named.status }),
  });
}

/**
 * An error as an item that every release's frontend turns into the same answer.
 *
 * A wrong request becomes `InvalidArgument`; any status but 400 and 500 travels as JSON in the message. Never a
 * connection-type error: a frontend would set this process aside for seconds, for every client.
 */
export function errorItem(error: AppError): Annotated {
  if (error.code === "internal") return itemWith({ error_type: "Unknown", message: "internal error" });
  if (error.status === 400) {
    const shown = { type: "message", message: error.message };
    const facts = { class: "InvalidRequest", reason: "request.invalid", public: shown };
    return itemWith({ error_type: "InvalidArgument", message: error.message, ...facts });
  }
  if (error.status === 500) return itemWith({ error_type: "Unknown", message: error.message });
  return itemWith({ error_type: "Unknown", message: JSON.stringify({ message: error.message, code: error.status }) });
}

function itemWith(error: ErrorObject): Annotated {
  return { event: "error", comment: [error.message], error };
}

function codeOf(error: ErrorObject | undefined, text: string): ErrorCode {
  const type = errorTypeOf(error);
  const byRelease = codeOfErrorType[type ?? ""] ?? codeOfClass[error?.class ?? ""];
  if (byRelease) return byRelease;
  // ≤ 1.0 name no type; from 1.2 on these two exceptions are InvalidArgument.
  return /^(ValueError|TypeError):/.test(text) ? "invalid_request" : "worker_error";
}

function errorTypeOf(error: ErrorObject | undefined): string | undefined {
  return typeof error?.error_type === "object" ? error.error_type.Backend : error?.error_type;
}

function detailsOf(error: ErrorObject | undefined): WorkerErrorDetails & Record<string, unknown> {
  const type = errorTypeOf(error);
  return {
    ...(type !== undefined && { error_type: type }),
    ...(error?.reason !== undefined && { reason: error.reason }),
    ...(error?.public !== undefined && { public: error.public.message }),
  };
}

/** The `{"message":…,"code":N}` form. Real frontends of all releases answer 400 where it says 422. */
function namedStatusOf(message: string): { message: string; status: number } | undefined {
  if (!message.startsWith("{")) return undefined;
  const { message: text, code } = objectOf(message);
  if (typeof text !== "string" || typeof code !== "number" || code < 400 || code > 599) return undefined;
  return { message: text, status: code === 422 ? 400 : code };
}

function objectOf(text: string): Record<string, unknown> {
  try {
    return parseJson(text) as Record<string, unknown>;
  } catch {
    return {}; // a message that only looks like JSON is a plain message
  }
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 503 || status === 529) return "overloaded";
  if (status === 504) return "deadline_exceeded";
  return status < 500 ? "invalid_request" : "worker_error";
}

function withoutPrefix(text: string): string {
  return text.startsWith(caughtByBinding) ? text.slice(caughtByBinding.length) : text;
}
