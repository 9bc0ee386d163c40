// The one table of error codes: what each means to an HTTP client, whether a retry can help, and whose fault it is.
// docs/errors.md is generated from it.

export type Fault = "client" | "server" | "peer";

export interface ErrorFacts {
  /** HTTP status at the frontend. */
  readonly status: number;
  /** OpenAI error type, as Dynamo 1.6.1 writes it inside streams (frontend.md §2.3). */
  readonly type: string;
  readonly retryable: boolean;
  readonly fault: Fault;
  readonly when: string;
}

const clientFault = (status: number, when: string, type = "invalid_request_error"): ErrorFacts => ({
  status,
  type,
  retryable: false,
  fault: "client",
  when,
});

export const errorTable = {
  invalid_request: clientFault(400, "the body fails the schema or a rule; details name the path"),
  unsupported: clientFault(501, "a deprecated or unsupported feature was asked for", "not_implemented_error"),
  image_unreachable: clientFault(400, "an image URL gave no image, where policy is to fail"),
  image_undecodable: clientFault(415, "bytes are not an image that workers accept, where policy is to fail"),
  image_forbidden: clientFault(403, "the address policy refuses the URL, where policy is to fail"),
  image_too_large: clientFault(413, "an image exceeds a limit; the message names it"),
  too_many_images: clientFault(400, "more images than the limit; the message names it"),
  body_too_large: clientFault(413, "the HTTP body exceeds its limit"),
  unsupported_media_type: clientFault(415, "the content type is not application/json"),
  context_length_exceeded: clientFault(400, "the prompt has more tokens than the model takes"),
  model_not_found: clientFault(404, "no model card with that name", "not_found_error"),
  client_closed: { status: 499, type: "cancelled", retryable: false, fault: "client", when: "the client left; logged and counted only" },
  protocol_error: {
    status: 502,
    type: "internal_server_error",
    retryable: false,
    fault: "peer",
    when: "a peer's bytes are unacceptable; details: release, offset",
  },
  worker_error: { status: 500, type: "internal_server_error", retryable: false, fault: "peer", when: "the worker answered with an error" },
  worker_lost: {
    status: 503,
    type: "service_unavailable",
    retryable: false,
    fault: "peer",
    when: "the worker's stream ended without its end mark",
  },
  no_instances: { status: 503, type: "service_unavailable", retryable: true, fault: "server", when: "nobody serves the endpoint" },
  overloaded: {
    status: 529,
    type: "overloaded",
    retryable: true,
    fault: "server",
    when: "a bounded queue is full or every worker is busy",
  },
  deadline_exceeded: { status: 504, type: "timeout_error", retryable: true, fault: "server", when: "a deadline passed; details say which" },
  dependency_unreachable: {
    status: 503,
    type: "service_unavailable",
    retryable: true,
    fault: "server",
    when: "NATS, etcd or model files cannot be reached",
  },
  configuration: {
    status: 500,
    type: "internal_server_error",
    retryable: false,
    fault: "server",
    when: "wrong flags, environment or deployment",
  },
  internal: {
    status: 500,
    type: "internal_server_error",
    retryable: false,
    fault: "server",
    when: "a bug; the body names only the request id",
  },
} as const satisfies Record<string, ErrorFacts>;

export type ErrorCode = keyof typeof errorTable;

export interface AppErrorOptions {
  readonly cause?: unknown;
  readonly details?: Readonly<Record<string, unknown>>;
  /** An exact HTTP status that replaces the table's (a worker named it). */
  readonly status?: number;
}

/** An error of the world, as opposed to a bug: it has a code, a status for the client and a sentence that may be shown. */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;
  readonly status: number;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    this.status = options.status ?? errorTable[code].status;
  }

  /** OpenAI error type of the status: the table's, unless `status` was given. */
  get type(): string {
    return errorTable[this.code].type;
  }
}

/** Any thrown value as an AppError; what is no AppError becomes `internal` with the value as its cause. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  return new AppError("internal", error instanceof Error ? error.message : String(error), { cause: error });
}
