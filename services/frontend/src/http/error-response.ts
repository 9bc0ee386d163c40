// What a client reads when something fails: the one place that knows AppError and OpenAI's (and Dynamo's) error bodies.
//
//   unary    {"message","type":"Bad Request","code":400,["details":{"backend_status":500}],"error":{"message","type","code","param":null}}
//   stream   data: {"error":{"message","type":"invalid_request_error","code":400}}
//
// The flat members are Dynamo's; `error` beside them is ours, since openai-node, LangChain and the AI SDK read nothing else.
// Source: Dynamo 1.6.1; evidence: golden frontend *, wire worker-outcome-to-http. 1.6.1 hides causes of wrong requests behind
// "Invalid request"; ours tells them.
// I1  The texts of errors that are no fault of the request stay inside, unless the worker meant them for the user.
import { STATUS_CODES } from "node:http";
import { type AppError, errorTable } from "@mm-router/protocol";

export interface ErrorFace {
  readonly status: number;
  readonly message: string;
}

/** Sentences of errors whose own text stays inside (I1). */
const genericMessages: Readonly<Record<number, string>> = {
  500: "Internal server error",
  503: "Service temporarily unavailable",
  504: "Request deadline exceeded",
  529: "Service temporarily overloaded",
};

/** Statuses that a stream's error has; others are a 500 there. */
const streamStatuses: ReadonlySet<number> = new Set([400, 404, 503, 504, 529]);

/** Status and sentence of an answer that is nothing but this error. */
export function errorFace(error: AppError, overloadStatus = 529): ErrorFace {
  const status = statusOf(error);
  const hidden = genericMessages[status];
  const message = typeof error.details["public"] === "string" ? error.details["public"] : (hidden ?? error.message);
  return { status: status === 529 ? overloadStatus : status, message };
}

export interface ErrorBodyFacts extends ErrorFace {
  /** The worker failed before it gave anything. */
  readonly backendStatus?: number | undefined;
  /** Dynamo keeps the reason phrase of an overload whatever its code. */
  readonly overloaded?: boolean;
  /** The same request may be taken a little later: told as `retry-after`. */
  readonly retryable?: boolean;
}

export function errorBody({ status, message, backendStatus, overloaded }: ErrorBodyFacts): object {
  return {
    message,
    type: overloaded === true ? "Overloaded" : phraseOf(status),
    code: status,
    ...(backendStatus !== undefined && { details: { backend_status: backendStatus } }),
    error: { message, type: streamType(status), code: status, param: null },
  };
}

/** The event of an error that comes after a stream has begun. */
export function streamErrorBody(error: AppError): object {
  const { status, message } = errorFace(error);
  const told = streamStatuses.has(status) ? status : 500;
  return { error: { message, type: streamType(told), code: told } };
}

/** `error_type` of the request counters. */
export function errorTypeLabel(error: AppError): string {
  const status = statusOf(error);
  if (error.code === "client_closed") return "cancelled";
  if (status === 404) return "not_found";
  if (status === 501) return "not_implemented";
  if (status === 529) return "overload";
  if (status === 503) return "unavailable";
  return status < 500 ? "validation" : "internal";
}

/** A worker's bytes that nobody understands are a failure of the backend; a worker's own "cancelled" too. */
function statusOf(error: AppError): number {
  if (error.code === "protocol_error" || error.code === "client_closed") return errorTable.internal.status;
  return error.status;
}

function phraseOf(status: number): string {
  if (status === 418) return "I'm a teapot"; // as Rust's table spells it
  return STATUS_CODES[status] ?? (status === 529 ? "Overloaded" : "Error");
}

function streamType(status: number): string {
  if (status === 503 || status === 529) return "service_unavailable";
  if (status === 504) return "timeout_error";
  if (status === 501) return "not_implemented_error";
  if (status >= 500) return "internal_server_error";
  return status === 404 ? "not_found_error" : "invalid_request_error";
}
