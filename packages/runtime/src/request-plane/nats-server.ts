// Requests taken over NATS: queue subscriptions on `{namespace}_{component}.{endpoint}-{id}`, group `q`, an empty reply at once.
//
// The reply leaves before the envelope is looked at: it says that the request arrived, nothing more (all releases). When a
// subscription ends, the server answers later callers with 503, no responders: they go elsewhere at once.
import { type EndpointAddress, type InstanceId, natsSubjectOf } from "@mm-router/protocol";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import type { Logger } from "../service/index.ts";
import { NatsService, QUEUE_GROUP } from "./nats-service.ts";
import type { Headers, Listening, RequestListener, RequestTaker } from "./request-transport.ts";

export class NatsRequestServer implements RequestListener {
  readonly #connect: () => Promise<NatsConnection>;
  readonly #log: Logger;
  readonly #version: string;
  #service: NatsService | undefined;

  /** @param version shown to operators by `nats micro ls` */
  constructor(connect: () => Promise<NatsConnection>, version: string, log: Logger) {
    this.#connect = connect;
    this.#version = version;
    this.#log = log;
  }

  listen(address: EndpointAddress, instanceId: InstanceId, take: RequestTaker): Promise<Listening> {
    return this.#serve(address, instanceId, (message) => {
      message.respond();
      take(bufferOf(message.data), headersOf(message));
    });
  }

  async close(): Promise<void> {
    this.#service?.close();
  }

  async #serve(address: EndpointAddress, instanceId: InstanceId, handle: (message: Msg) => void): Promise<Listening> {
    const connection = await this.#connect();
    this.#service ??= new NatsService(connection, this.#version);
    const subject = natsSubjectOf(address, instanceId);
    const entry = this.#service.add(address, subject);
    const subscription = connection.subscribe(subject, {
      queue: QUEUE_GROUP,
      callback: (error, message) => {
        if (error) return this.#log.error("NATS subscription failed", { subject, error });
        entry.requests++;
        handle(message);
      },
    });
    await connection.flush(); // the server knows the subscription before the instance is published
    return {
      transport: { kind: "nats", subject },
      stop: async () => {
        this.#service?.remove(entry);
        if (!connection.isClosed()) await subscription.drain(); // takes what the server had sent before it knew
      },
    };
  }
}

function bufferOf(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.length);
}

function headersOf({ headers }: Msg): Headers {
  const written: Record<string, string> = {};
  for (const [name, values] of headers ?? []) written[name] = values[0] ?? "";
  return written;
}
