// Events over real NATS: what every source promises, and what JetStream does to a source when its server or stream goes away.
import { randomUUID } from "node:crypto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { decodeEnvelope } from "@mm-router/protocol";
import {
  captureStreamName,
  CoreSource,
  ensureCaptureStream,
  EventPublisher,
  type EventSource,
  type EventSourceItem,
  JetStreamSource,
  kvEventSubjects,
  SharedNats,
} from "@mm-router/runtime";
import { startNats } from "@mm-router/testkit/infra";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { log, type NatsCell, startNatsCell, stopNatsCell } from "./nats-cell.ts";

const limits = { bytesMax: 16 * 1024 * 1024, ageMaxS: 600 };
const checkIntervalMs = 200;

let cell: NatsCell;
let nats: NatsConnection;

beforeAll(async () => {
  cell = await startNatsCell();
  nats = cell.nats;
});

afterAll(() => stopNatsCell(cell));

/** Draws from a source and remembers; `until` resolves as soon as what was drawn satisfies it. */
class Drain {
  readonly items: EventSourceItem[] = [];
  readonly #source: EventSource;
  readonly #done: Promise<void>;
  #changed = Promise.withResolvers<void>();

  constructor(source: EventSource) {
    this.#source = source;
    this.#done = this.#draw();
  }

  /** Messages as text, everything else as its kind or reason. */
  get seen(): string[] {
    return this.items.map((item) => {
      if (item.kind === "message") return Buffer.from(item.bytes).toString();
      return item.kind === "maybe_lost" ? item.reason : item.kind;
    });
  }

  async until(holds: (seen: string[]) => boolean): Promise<string[]> {
    while (!holds(this.seen)) await this.#changed.promise;
    return this.seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#source.close();
    await this.#done;
  }

  async #draw(): Promise<void> {
    for await (const item of this.#source) {
      this.items.push(item);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
  }
}

function freshComponent(): { namespace: string; component: string } {
  return { namespace: `t-${randomUUID().slice(0, 8)}`, component: "backend" };
}

/** A source over a stream with this one subject, made and remade by the source itself. */
async function captured(): Promise<{ source: JetStreamSource; subject: string; stream: string }> {
  const where = freshComponent();
  const create = () => ensureCaptureStream(nats, where, limits);
  await create();
  const stream = captureStreamName(where);
  return { source: new JetStreamSource(nats, { stream, create, checkIntervalMs }, log), subject: kvEventSubjects(where)[0]!, stream };
}

/** Stored when it resolves; once, though it was not heard that it is and is published again. */
async function publish(subject: string, ...texts: string[]): Promise<void> {
  for (const text of texts) await jetstream(nats).publish(subject, text, { msgID: text });
}

const lastOf = (text: string) => (seen: string[]) => seen.at(-1) === text;

describe.each([
  ["CoreSource", async (subject: string): Promise<EventSource> => new CoreSource(nats, { subjects: [subject] })],
  [
    "JetStreamSource",
    async (subject: string): Promise<EventSource> => {
      const stream = subject.replaceAll(".", "-");
      await (await jetstreamManager(nats)).streams.add({ name: stream, subjects: [subject] });
      return new JetStreamSource(nats, { stream }, log);
    },
  ],
])("%s", (_, open) => {
  it("gives messages as published, in order, with rising sequence numbers", async () => {
    const subject = `events.${randomUUID()}`;
    await using drain = new Drain(await open(subject));
    await drain.until((seen) => seen.includes("caught_up"));
    for (let i = 0; i < 500; i++) nats.publish(subject, `m${i}`);
    await drain.until(lastOf("m499"));
    const messages = drain.items.filter((item) => item.kind === "message");
    expect(messages.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(Array.from({ length: 500 }, (_, i) => `m${i}`));
    expect(messages.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
    expect(messages.every((message) => message.subject === subject)).toBe(true);
  });

  it("ends when it is closed, also before anything came", async () => {
    const source = await open(`events.${randomUUID()}`);
    source.close();
    source.close();
    for await (const item of source) expect(item.kind).not.toBe("message");
  });
});

describe("CoreSource", () => {
  it("tells where messages were dropped because nobody drew them", async () => {
    const subject = `events.${randomUUID()}`;
    const source = new CoreSource(nats, { subjects: [subject], queueMax: 4 });
    for (let i = 0; i < 10; i++) nats.publish(subject, `m${i}`);
    await nats.flush();
    await using drain = new Drain(source);
    await drain.until(lastOf("m2"));
    nats.publish(subject, "late");
    expect(await drain.until(lastOf("late"))).toEqual(["caught_up", "m0", "m1", "m2", "overflow", "late"]);
  });

  it("tells after a reconnect that messages may be missing", async () => {
    await using own = await startNats();
    const connection = new SharedNats({ servers: own.url }, { name: "test", deadlineMs: 10_000 }, log);
    await using drain = new Drain(new CoreSource(await connection.connection(), { subjects: ["events"] }));
    await own.restart();
    expect(await drain.until((seen) => seen.length === 2)).toEqual(["caught_up", "reconnected"]);
    await connection.close();
  });
});

describe("JetStreamSource", () => {
  it("begins with what was stored before it came and says when that is read", async () => {
    const { source, subject } = await captured();
    await publish(subject, "a", "b");
    await using drain = new Drain(source);
    await drain.until(lastOf("caught_up"));
    await publish(subject, "c");
    expect(await drain.until(lastOf("c"))).toEqual(["a", "b", "caught_up", "c"]);
  });

  it("waits for a stream that somebody else makes later", async () => {
    const stream = `late-${randomUUID()}`;
    await using drain = new Drain(new JetStreamSource(nats, { stream, checkIntervalMs }, log));
    await drain.until(lastOf("caught_up"));
    await (await jetstreamManager(nats)).streams.add({ name: stream, subjects: [`${stream}.*`] });
    await publish(`${stream}.kv-events`, "first");
    expect((await drain.until(lastOf("first"))).filter((seen) => seen !== "caught_up")).toEqual(["first"]);
  });

  it("begins again, and says so, after the stream was deleted and made again", async () => {
    const { source, subject, stream } = await captured();
    await publish(subject, "a", "b", "c");
    await using drain = new Drain(source);
    await drain.until(lastOf("caught_up"));
    await (await jetstreamManager(nats)).streams.delete(stream);
    await drain.until(lastOf("caught_up"));
    await expect
      .poll(
        () =>
          publish(subject, "d").then(
            () => true,
            () => false,
          ),
        { timeout: 30_000 },
      )
      .toBe(true);
    expect((await drain.until(lastOf("d"))).filter((seen) => seen !== "caught_up")).toEqual(["a", "b", "c", "stream_recreated", "d"]);
  });

  it("tells that messages were purged before it read them", async () => {
    const { source, subject, stream } = await captured();
    const items = source[Symbol.asyncIterator]();
    await publish(subject, ...Array.from({ length: 1_500 }, (_, i) => `m${i + 1}`));
    expect(await items.next()).toMatchObject({ value: { kind: "message", sequence: 1 } });
    // It stands still at the first message with 1 000 fetched; what it has not fetched goes.
    await (await jetstreamManager(nats)).streams.purge(stream, { seq: 1_490 });
    let before = 1;
    for (let { value: item } = await items.next(); item?.kind === "message"; { value: item } = await items.next()) before = item.sequence;
    expect(before).toBeLessThan(1_489);
    expect(await items.next()).toMatchObject({ value: { kind: "message", sequence: 1_490 } });
    source.close();
  });

  it("goes on without a gap or a repetition after kill -9 of the server, its store kept", async () => {
    await using own = await startNats();
    const connection = new SharedNats({ servers: own.url }, { name: "test", deadlineMs: 10_000 }, log);
    const client = await connection.connection();
    await (await jetstreamManager(client)).streams.add({ name: "kept", subjects: ["kept"] });
    const publishTo = async (text: string) => void (await jetstream(client).publish("kept", text, { timeout: 2_000, msgID: text }));
    await using drain = new Drain(new JetStreamSource(client, { stream: "kept", checkIntervalMs }, log));
    await publishTo("a");
    await drain.until(lastOf("a"));
    await own.kill();
    await own.restart();
    await expect
      .poll(
        () =>
          publishTo("b").then(
            () => true,
            () => false,
          ),
        { timeout: 30_000 },
      )
      .toBe(true);
    expect((await drain.until(lastOf("b"))).filter((seen) => seen !== "caught_up")).toEqual(["a", "b"]);
    await connection.close();
  });

  it("begins again after the server came back with an empty store", async () => {
    await using own = await startNats();
    const connection = new SharedNats({ servers: own.url }, { name: "test", deadlineMs: 10_000 }, log);
    const client = await connection.connection();
    const where = freshComponent();
    const create = () => ensureCaptureStream(client, where, limits);
    await create();
    const [subject] = kvEventSubjects(where) as [string];
    const source = new JetStreamSource(client, { stream: captureStreamName(where), create, checkIntervalMs }, log);
    const publishTo = async (text: string) => void (await jetstream(client).publish(subject, text, { timeout: 2_000, msgID: text }));
    await using drain = new Drain(source);
    await publishTo("a");
    await drain.until(lastOf("a"));
    await own.kill();
    await own.restart({ wipe: true });
    await expect
      .poll(
        () =>
          publishTo("b").then(
            () => true,
            () => false,
          ),
        { timeout: 30_000 },
      )
      .toBe(true);
    expect((await drain.until(lastOf("b"))).filter((seen) => seen !== "caught_up")).toEqual(["a", "stream_recreated", "b"]);
    await connection.close();
  });
});

describe("the capture stream", () => {
  it.each(["t.nested", "t-dashed", "t_low"])(
    "stores what workers of every release publish in namespace %s, as published",
    async (prefix) => {
      const where = { namespace: `${prefix}${randomUUID().slice(0, 8)}`, component: "backend" };
      await ensureCaptureStream(nats, where, limits);
      await ensureCaptureStream(nats, where, { bytesMax: 1024 * 1024, ageMaxS: 60 });
      const [flat, scoped] = kvEventSubjects(where) as [string, string];
      const subjects = [flat, scoped.replace("*", "generate")];
      const publishers = subjects.map((subject) => new EventPublisher(nats, { subject, topic: "kv-events", publisherId: 2n ** 63n }));
      await using drain = new Drain(new JetStreamSource(nats, { stream: captureStreamName(where), checkIntervalMs }, log));
      for (const publisher of publishers) for (let i = 0; i < 2; i++) publisher.publish(Buffer.from([i]));
      await drain.until((seen) => seen.length === 5);
      const messages = drain.items.flatMap((item) => (item.kind === "message" ? [item] : []));
      expect(messages.map(({ subject }) => subject)).toEqual([subjects[0], subjects[0], subjects[1], subjects[1]]);
      const envelopes = messages.map(({ bytes }) => decodeEnvelope(bytes));
      expect(envelopes.map(({ publisher_id, sequence, topic, payload }) => [publisher_id, sequence, topic, payload[0]])).toEqual([
        [2n ** 63n, 0n, "kv-events", 0],
        [2n ** 63n, 1n, "kv-events", 1],
        [2n ** 63n, 0n, "kv-events", 0],
        [2n ** 63n, 1n, "kv-events", 1],
      ]);
    },
  );

  it("has a name of its own for each component", () => {
    const names = [
      ["a.b", "c"],
      ["a-b", "c"],
      ["a", "b-c"],
      ["a%2Eb", "c"],
    ].map(([namespace, component]) => captureStreamName({ namespace: namespace!, component: component! }));
    expect(names.every((name) => /^[^.*>\s/\\]+$/.test(name))).toBe(true);
    expect(new Set(names).size).toBe(4);
  });
});
