// One topic over ZMQ between processes that know nothing of each other but discovery: real sockets, discovery in memory.
import { decodeEnvelope, type EndpointAddress, type EventNaming } from "@mm-router/protocol";
import { createLogger, type EventSourceItem, MemoryStore, ZmqPublisher, ZmqSource } from "@mm-router/runtime";
import { expect, it } from "vitest";

const log = createLogger({ service: "test", level: "error", destination: () => {} });
const topic = "active_sequences_events";
const address = { namespace: "ns", component: "backend", endpoint: "generate" };
const reached = { timeout: 30_000, interval: 20 };

class Hearing {
  readonly texts: string[] = [];
  readonly publishers = new Set<bigint>();
  readonly losses: EventSourceItem[] = [];
  readonly source: ZmqSource;

  constructor(store: MemoryStore, where: EndpointAddress = address) {
    this.source = new ZmqSource(store.connect(), { ...where, topic, queueMax: 1_000 }, log);
    void this.read();
  }

  private async read(): Promise<void> {
    for await (const item of this.source) {
      if (item.kind === "maybe_lost") this.losses.push(item);
      if (item.kind !== "message") continue;
      const { payload, publisher_id } = decodeEnvelope(item.bytes);
      this.texts.push(Buffer.from(payload).toString());
      this.publishers.add(publisher_id);
    }
  }
}

function publisherIn(store: MemoryStore, naming: EventNaming, where: EndpointAddress = address) {
  const discovery = store.connect();
  const scope = naming === "scoped" ? where : { namespace: where.namespace, component: where.component };
  const publisherId = (instanceId: bigint): bigint => (naming === "scoped" ? 77n : instanceId);
  const publisher = new ZmqPublisher({ naming, scope, topic, publisherId, host: "127.0.0.1" }, { discovery, log });
  return { discovery, publisher, id: publisherId(discovery.instanceId) };
}

/** Says a text until it is heard: what was said before the two had found each other is lost. */
async function untilHeard(publisher: ZmqPublisher, hearing: Hearing, text: string): Promise<void> {
  const isHeard = (): boolean => {
    publisher.publish(Buffer.from(text));
    return hearing.texts.includes(text);
  };
  await expect.poll(isHeard, reached).toBe(true);
}

it.each<[EventNaming]>([["flat"], ["scoped"]])(
  "is heard in order by whoever finds its %s record, and no other topic's is",
  async (naming) => {
    const store = new MemoryStore();
    const early = new Hearing(store);
    const { publisher, id } = publisherIn(store, naming);
    await untilHeard(publisher, early, "found");
    const late = new Hearing(store);
    await untilHeard(publisher, late, "found late");
    const texts = Array.from({ length: 500 }, (_, n) => `${n}`);
    for (const text of texts) publisher.publish(Buffer.from(text));
    for (const { texts: heard } of [early, late]) await expect.poll(() => heard.filter((text) => /^\d/.test(text)), reached).toEqual(texts);
    expect([...early.publishers]).toEqual([id]);
    expect(early.losses).toEqual([]);
    publisher.close();
    for (const { source } of [early, late]) source.close();
  },
);

it("is heard no more once its process has left discovery, and another one's is", async () => {
  const store = new MemoryStore();
  const hearing = new Hearing(store);
  const first = publisherIn(store, "flat");
  await untilHeard(first.publisher, hearing, "first");
  await first.discovery.close();
  const second = publisherIn(store, "flat");
  await untilHeard(second.publisher, hearing, "second");
  hearing.texts.length = 0;
  first.publisher.publish(Buffer.from("gone"));
  await untilHeard(second.publisher, hearing, "third");
  expect(hearing.texts).not.toContain("gone");
  for (const { publisher } of [first, second]) publisher.close();
  hearing.source.close();
});

it("of another endpoint is not heard where the name says it", async () => {
  const store = new MemoryStore();
  const other = publisherIn(store, "scoped", { ...address, endpoint: "other" });
  const atOther = new Hearing(store, { ...address, endpoint: "other" });
  const here = new Hearing(store);
  await untilHeard(other.publisher, atOther, "there");
  const own = publisherIn(store, "flat");
  await untilHeard(own.publisher, here, "here");
  expect(here.texts).not.toContain("there");
  for (const { publisher } of [other, own]) publisher.close();
  for (const { source } of [here, atOther]) source.close();
});
