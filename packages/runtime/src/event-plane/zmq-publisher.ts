// Publishes one topic as a router of Dynamo does over ZMQ: a PUB socket on a free port, told in an event channel's record.
//
//   publish ─▶ queue ─▶ PUB socket ─▶ whoever follows the record          v1/event_channels/…  {"transport":{"kind":"Zmq",…}}
//
// I1  What is published before the socket stands waits for it; whoever dials later does not hear it. At most `waitingMax` messages wait.
// I2  Publishing never fails: nobody waits for it, as on NATS core.
import {
  encodeEventChannel,
  encodeZmqFrames,
  eventChannelKey,
  type EventNaming,
  type EventScope,
  type EventTopic,
  type InstanceId,
  type U64,
} from "@mm-router/protocol";
import type { Publisher } from "zeromq";
import type { Discovery } from "../discovery/index.ts";
import { BoundedQueue } from "../flow/index.ts";
import { ownHost, socketAddressText } from "../request-plane/socket-address.ts";
import type { Logger } from "../service/index.ts";

export interface ZmqPublisherOptions {
  readonly naming: EventNaming;
  readonly scope: EventScope;
  readonly topic: EventTopic;
  /** ≤ 1.2: this process's instance id, also after it changed; ≥ 1.4: random (`randomPublisherId`). */
  readonly publisherId: (instanceId: InstanceId) => U64;
  /** IP literal to listen on and to tell (`DYN_TCP_RPC_HOST`); default: as for the request plane. */
  readonly host?: string | undefined;
}

export interface ZmqPublisherDeps {
  readonly discovery: Pick<Discovery, "instanceId" | "register">;
  readonly log: Logger;
}

const waitingMax = 16_384;

export class ZmqPublisher {
  readonly #options: ZmqPublisherOptions;
  readonly #deps: ZmqPublisherDeps;
  readonly #queue = new BoundedQueue<Uint8Array>(waitingMax);
  readonly #closing = new AbortController();
  #sequence = 0n;

  constructor(options: ZmqPublisherOptions, deps: ZmqPublisherDeps) {
    this.#options = options;
    this.#deps = deps;
    void this.#run();
  }

  /** Sends one payload (MessagePack). */
  publish(payload: Uint8Array): void {
    this.#queue.offer(payload);
  }

  close(): void {
    this.#closing.abort();
    this.#queue.clear();
    this.#queue.close();
  }

  /** Ends with `close`. Never rejects. */
  async #run(): Promise<void> {
    try {
      const { Publisher: Socket } = await import("zeromq");
      const socket = new Socket({ linger: 0, sendHighWaterMark: waitingMax, ipv6: true });
      try {
        await this.#tell(socket);
        for await (const payload of this.#queue) await socket.send(this.#frames(payload));
      } finally {
        socket.close();
      }
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#deps.log.warn("events cannot be published", { topic: this.#options.topic, error });
    }
  }

  /** The record goes with this process's lease. */
  async #tell(socket: Publisher): Promise<void> {
    const { naming, scope, topic, publisherId, host } = this.#options;
    await socket.bind(`tcp://${socketAddressText({ host: ownHost(host), port: 0 })}`);
    const transport = { kind: "zmq", endpoint: socket.lastEndpoint! } as const; // it is bound
    await this.#deps.discovery.register((instanceId) => {
      const id = publisherId(instanceId);
      return { key: eventChannelKey(naming, scope, topic, id), value: encodeEventChannel({ naming, scope, topic, id, transport }) };
    }, this.#closing.signal);
  }

  #frames(payload: Uint8Array): Buffer[] {
    const { topic, publisherId } = this.#options;
    const publisher_id = publisherId(this.#deps.discovery.instanceId);
    const frames = encodeZmqFrames({ publisher_id, sequence: this.#sequence++, published_at: BigInt(Date.now()), topic, payload });
    return frames.map((frame) => Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength));
  }
}
