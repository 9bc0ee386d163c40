// The bridge from ZMQ to our log over a real socket and a real nats-server: each message is stored once, whatever comes and goes.
import { randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { encodeZmqFrames, type U64 } from "@mm-router/protocol";
import { bridgeSubject, captureStreamName, capturePublisher, ensureCaptureStream, JetStreamSource, ZmqBridge } from "@mm-router/runtime";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Publisher } from "zeromq";
import { log, type NatsCell, startNatsCell, stopNatsCell } from "./nats-cell.ts";

const limits = { bytesMax: 16 * 1024 * 1024, ageMaxS: 600 };
const publisherId = 77n;

let cell: NatsCell;
let nats: NatsConnection;

beforeAll(async () => {
  cell = await startNatsCell();
  nats = cell.nats;
});

afterAll(() => stopNatsCell(cell));

/** A socket as a worker's publisher has it. */
class ScriptedPublisher implements AsyncDisposable {
  #socket = new Publisher({ linger: 0 });
  #sequence = 0n;
  endpoint = "tcp://127.0.0.1:0";

  static async bind(): Promise<ScriptedPublisher> {
    const publisher = new ScriptedPublisher();
    await publisher.bindAgain();
    return publisher;
  }

  async bindAgain(): Promise<void> {
    this.#socket = new Publisher({ linger: 0 });
    await this.#socket.bind(this.endpoint);
    this.endpoint = this.#socket.lastEndpoint!;
  }

  async publish(...texts: string[]): Promise<void> {
    for (const text of texts) {
      const envelope = { publisher_id: publisherId, sequence: this.#sequence++, published_at: 0n, topic: "kv-events" };
      await this.#socket.send([...encodeZmqFrames({ ...envelope, payload: Buffer.from(text) })] as Buffer[]);
    }
  }

  async send(...frames: (string | Buffer)[]): Promise<void> {
    await this.#socket.send(frames);
  }

  /** Resolves when the port is free again: libzmq closes a listener on a thread of its own, some time after `close` has returned. */
  async leave(): Promise<void> {
    const freed = new Promise<void>((resolve) => this.#socket.events.on("close", () => resolve()));
    await this.#socket.unbind(this.endpoint);
    await freed;
    this.#socket.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
  }
}

interface Bridged extends AsyncDisposable {
  readonly lost: U64[];
  readonly malformed: () => number;
  readonly bridge: ZmqBridge;
}

function bridgeTo(where: { namespace: string; component: string }): Bridged {
  const lost: U64[] = [];
  let malformed = 0;
  const bridge = new ZmqBridge({
    publish: capturePublisher(nats, where),
    maybeLost: (id) => lost.push(id),
    malformed: () => void malformed++,
    log,
  });
  return { bridge, lost, malformed: () => malformed, [Symbol.asyncDispose]: async () => bridge.close() };
}

async function freshLog(): Promise<{ where: { namespace: string; component: string }; stored: () => Promise<number> }> {
  const where = { namespace: `t.${randomUUID().slice(0, 8)}`, component: "backend" };
  await ensureCaptureStream(nats, where, limits);
  const manager = await jetstreamManager(nats);
  return { where, stored: async () => (await manager.streams.info(captureStreamName(where))).state.messages };
}

const reached = { timeout: 30_000, interval: 20 };

it("stores each message once though two bridges hear it, in order, as a NATS publisher would have sent it", async () => {
  const { where, stored } = await freshLog();
  await using publisher = await ScriptedPublisher.bind();
  await using one = bridgeTo(where);
  await using two = bridgeTo(where);
  for (const { bridge } of [one, two]) bridge.follow(publisherId, publisher.endpoint);
  await Promise.all([one.bridge.connected(), two.bridge.connected()]);
  expect([one.lost, two.lost]).toEqual([[publisherId], [publisherId]]); // what it said before is not known
  const texts = Array.from({ length: 1_000 }, (_, i) => `event ${i}`);
  await publisher.publish(...texts);
  await expect.poll(stored, reached).toBe(texts.length);
  const source = new JetStreamSource(nats, { stream: captureStreamName(where) }, log);
  const seen: string[] = [];
  for await (const item of source) {
    if (item.kind === "message") {
      expect(item.subject).toBe(bridgeSubject(where));
      seen.push(Buffer.from(item.bytes).toString("latin1"));
    }
    if (seen.length === texts.length) break;
  }
  const [, , , last] = encodeZmqFrames({
    publisher_id: publisherId,
    sequence: 3n,
    published_at: 0n,
    topic: "kv-events",
    payload: Buffer.from("event 3"),
  });
  expect(seen[3]).toBe(Buffer.from(last!.subarray(5)).toString("latin1"));
  expect(seen.map((bytes) => /event \d+$/.exec(bytes)?.[0])).toEqual(texts);
  expect(await stored()).toBe(texts.length);
});

it("hears a publisher that was away again and says that something may be missing; one that it does not follow any more it does not", async () => {
  const { where, stored } = await freshLog();
  await using publisher = await ScriptedPublisher.bind();
  await using bridged = bridgeTo(where);
  bridged.bridge.follow(publisherId, publisher.endpoint);
  await bridged.bridge.connected();
  await publisher.leave();
  await publisher.bindAgain();
  await expect.poll(() => bridged.lost.length, reached).toBe(2);
  await publisher.publish("a");
  await expect.poll(stored, reached).toBe(1);
  bridged.bridge.unfollow(publisherId);
  expect(bridged.bridge.publishers).toBe(0);
  await publisher.publish("b");
  bridged.bridge.follow(publisherId, publisher.endpoint);
  await expect.poll(() => bridged.lost.length, reached).toBe(3);
  await publisher.publish("c");
  await expect.poll(stored, reached).toBe(2);
});

it("counts what is no event, gives a message beyond all limits up, and goes on", async () => {
  const { where, stored } = await freshLog();
  await using publisher = await ScriptedPublisher.bind();
  await using bridged = bridgeTo(where);
  bridged.bridge.follow(publisherId, publisher.endpoint);
  await bridged.bridge.connected();
  await publisher.send("kv-events", "not", "an event");
  await publisher.send("kv-events", Buffer.alloc(8), Buffer.alloc(8), Buffer.alloc(3));
  await publisher.publish("a");
  await expect.poll(stored, reached).toBe(1);
  expect(bridged.malformed()).toBe(2);
  await publisher.send("kv-events", Buffer.alloc(17 * 1024 * 1024));
  await expect.poll(() => bridged.lost.length, reached).toBe(2);
  await publisher.publish("b");
  await expect.poll(stored, reached).toBe(2);
});

it("keeps what it hears while the server is away", async () => {
  const { where, stored } = await freshLog();
  await using publisher = await ScriptedPublisher.bind();
  await using bridged = bridgeTo(where);
  bridged.bridge.follow(publisherId, publisher.endpoint);
  await bridged.bridge.connected();
  await cell.server.kill();
  await publisher.publish("a", "b", "c");
  await cell.server.restart();
  await expect.poll(stored, reached).toBe(3);
  expect(bridged.lost).toEqual([publisherId]);
});

it("does not stumble over an endpoint that cannot be dialled", async () => {
  await using bridged = bridgeTo((await freshLog()).where);
  bridged.bridge.follow(publisherId, "nonsense");
  await bridged.bridge.connected();
  expect(bridged.lost).toEqual([]);
});
