// Requests over NATS: request with a reply inbox; an empty reply is the ack.
//
// A worker that is gone is told by the server at once (503, no responders). A request above the server's max_payload
// (1 MiB by default) would fail in the client with a bare error: here it fails with what to do about it.
// When the server itself is away no other instance is tried: each would cost the same wait.
import { headers as createHeaders, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { AppError, type InstanceId, type Transport } from "@mm-router/protocol";
import { withDeadline } from "../flow/index.ts";
import { notTaken } from "./call.ts";
import { NatsInbox, type Unanswered } from "./nats-inbox.ts";
import type { Headers, RequestSender } from "./request-transport.ts";

type NatsTransport = Extract<Transport, { kind: "nats" }>;

interface NatsInstance {
  readonly instanceId: InstanceId;
  readonly transport: NatsTransport;
}

export class NatsRequestClient implements RequestSender<NatsTransport> {
  readonly #connect: () => Promise<NatsConnection>;
  readonly #ackTimeoutMs: number;
  readonly #inboxes = new WeakMap<NatsConnection, NatsInbox>();

  /** @param connect gives the process's connection; asked at the first request */
  constructor(connect: () => Promise<NatsConnection>, ackTimeoutMs: number) {
    this.#connect = connect;
    this.#ackTimeoutMs = ackTimeoutMs;
  }

  async send({ instanceId, transport }: NatsInstance, envelope: Buffer, headers: Headers): Promise<void> {
    const connection = await this.#connect();
    checkSize(envelope.length + headersLength(headers), connection.info?.max_payload);
    const ack = await this.#inboxOf(connection).request(transport.subject, envelope, this.#ackTimeoutMs, natsHeaders(headers));
    if (typeof ack === "string") throw await this.#refusal(ack, instanceId, connection);
    if (ack.length > 0) throw notTaken("worker_lost", "the instance refused the request", { instanceId });
  }

  #inboxOf(connection: NatsConnection): NatsInbox {
    const known = this.#inboxes.get(connection);
    if (known !== undefined) return known;
    const inbox = new NatsInbox(connection);
    this.#inboxes.set(connection, inbox);
    return inbox;
  }

  async #refusal(why: Unanswered, instanceId: InstanceId, connection: NatsConnection): Promise<AppError> {
    if (why === "no responders") return notTaken("worker_lost", "nobody serves the instance's NATS subject", { instanceId });
    if (why === "closed" || !(await answers(connection))) return new AppError("dependency_unreachable", "the NATS server does not answer");
    return notTaken("deadline_exceeded", `no ack over NATS within ${this.#ackTimeoutMs} ms`, { instanceId });
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
  let length = 12;
  for (const name in headers) length += Buffer.byteLength(name) + Buffer.byteLength(headers[name]!) + 4;
  return length;
}

function checkSize(bytes: number, maxPayload: number | undefined): void {
  if (maxPayload === undefined || bytes <= maxPayload) return;
  const remedy = "raise max_payload of nats-server or run DYN_REQUEST_PLANE=tcp";
  throw new AppError("body_too_large", `the request has ${bytes} bytes, the NATS server takes ${maxPayload}: ${remedy}`);
}

/** undefined for none: a message without headers is shorter on both sides. */
function natsHeaders(headers: Headers): MsgHdrs | undefined {
  let written: MsgHdrs | undefined;
  for (const name in headers) (written ??= createHeaders()).set(name, headers[name]!);
  return written;
}
