// Requests over NATS: request with a reply inbox; an empty reply is the ack.
//
// A worker that is gone is told by the server at once (503, no responders). A request above the server's max_payload
// (1 MiB by default) would fail in the client with a bare error: here it fails with what to do about it.
// When the server itself is away no other instance is tried: each would cost the same wait.
import {
  headers as createHeaders,
  type MsgHdrs,
  type NatsConnection,
  NoRespondersError,
  RequestError,
  TimeoutError,
} from "@nats-io/transport-node";
import { AppError, type InstanceId, type Transport } from "@mm-router/protocol";
import { withDeadline } from "../flow/index.ts";
import { notTaken } from "./call.ts";
import type { Headers, RequestSender } from "./request-transport.ts";

type NatsTransport = Extract<Transport, { kind: "nats" }>;

interface NatsInstance {
  readonly instanceId: InstanceId;
  readonly transport: NatsTransport;
}

export class NatsRequestClient implements RequestSender<NatsTransport> {
  readonly #connect: () => Promise<NatsConnection>;
  readonly #ackTimeoutMs: number;

  /** @param connect gives the process's connection; asked at the first request */
  constructor(connect: () => Promise<NatsConnection>, ackTimeoutMs: number) {
    this.#connect = connect;
    this.#ackTimeoutMs = ackTimeoutMs;
  }

  async send(instance: NatsInstance, envelope: Buffer, headers: Headers): Promise<void> {
    const ack = await this.#request(instance, envelope, headers);
    if (ack.length > 0) throw notTaken("worker_lost", "the instance refused the request", instance);
  }

  async ask(instance: NatsInstance, question: Buffer): Promise<Buffer> {
    const answer = await this.#request(instance, question, {});
    return Buffer.from(answer.buffer, answer.byteOffset, answer.length);
  }

  async #request({ instanceId, transport }: NatsInstance, payload: Buffer, headers: Headers): Promise<Uint8Array> {
    const connection = await this.#connect();
    checkSize(payload.length + headersLength(headers), connection.info?.max_payload);
    try {
      const reply = await connection.request(transport.subject, payload, { timeout: this.#ackTimeoutMs, headers: natsHeaders(headers) });
      return reply.data;
    } catch (error) {
      throw await this.#refusal(error, instanceId, connection);
    }
  }

  async #refusal(cause: unknown, instanceId: InstanceId, connection: NatsConnection): Promise<AppError> {
    if (isNoResponders(cause)) return notTaken("worker_lost", "nobody serves the instance's NATS subject", { instanceId, cause });
    if (!(cause instanceof TimeoutError) || !(await answers(connection))) {
      return new AppError("dependency_unreachable", "the NATS server does not answer", { cause });
    }
    return notTaken("deadline_exceeded", `no ack over NATS within ${this.#ackTimeoutMs} ms`, { instanceId, cause });
  }
}

/** For the server's answer to a ping, once an ack did not come: is it the worker that is gone, or the server? */
const PROBE_MS = 500;

async function answers(connection: NatsConnection): Promise<boolean> {
  return withDeadline(connection.flush(), PROBE_MS, "a NATS ping").then(
    () => true,
    () => false,
  );
}

/** Headers count towards max_payload: `NATS/1.0\r\n`, `name: value\r\n` each, and an empty line. */
function headersLength(headers: Headers): number {
  return Object.entries(headers).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value) + 4, 12);
}

function checkSize(bytes: number, maxPayload: number | undefined): void {
  if (maxPayload === undefined || bytes <= maxPayload) return;
  const remedy = "raise max_payload of nats-server or run DYN_REQUEST_PLANE=tcp";
  throw new AppError("body_too_large", `the request has ${bytes} bytes, the NATS server takes ${maxPayload}: ${remedy}`);
}

function isNoResponders(error: unknown): boolean {
  return error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders());
}

function natsHeaders(headers: Headers): MsgHdrs {
  const written = createHeaders();
  for (const [name, value] of Object.entries(headers)) written.set(name, value);
  return written;
}
