// A cache that replicas share, over a real nats-server: what one puts the other gets, and what a server that is away costs.
import { randomUUID } from "node:crypto";
import { createLogger, NatsSharedCache, SharedNats, type SharedCacheLimits } from "@mm-router/runtime";
import { startNats } from "@mm-router/testkit/infra";
import { waitFor } from "@mm-router/testkit";
import { describe, expect, it } from "vitest";

const log = createLogger({ service: "test", level: "error", destination: () => {} });
const limits: SharedCacheLimits = { bucket: "images", ttlS: 600, bytesMax: 1_000_000, valueBytesMax: 100, deadlineMs: 5_000, restMs: 500 };
const value = Buffer.from("value");

function replica(url: string, opened: AsyncDisposableStack, changes: Partial<SharedCacheLimits> = {}): NatsSharedCache {
  const nats = opened.adopt(new SharedNats({ servers: url }, { name: "test", deadlineMs: 500 }, log), (connection) => connection.close());
  return new NatsSharedCache(() => nats.connection(), { ...limits, ...changes }, log);
}

/** Puts until somebody else gets it: a put before the bucket is open is lost. */
function untilShared(from: NatsSharedCache, to: NatsSharedCache): Promise<true> {
  const key = `url.${randomUUID()}`;
  return waitFor({ what: "a value to be shared" }, async () => {
    from.put(key, value);
    const got = await to.get(key);
    return got !== undefined && value.equals(got) ? true : undefined;
  });
}

describe("NatsSharedCache", () => {
  it("gives one replica what another put, the last one of several, and nothing that nobody put", async () => {
    await using opened = new AsyncDisposableStack();
    const server = opened.adopt(await startNats(), (nats) => nats.stop());
    const [first, second] = [replica(server.url, opened), replica(server.url, opened)];
    await untilShared(first, second);
    first.put("url.a", Buffer.from("old"));
    first.put("url.a", Buffer.from("new"));
    await waitFor({ what: "the last value" }, async () => {
      const got = await second.get("url.a");
      return got !== undefined && Buffer.from(got).toString() === "new" ? true : undefined;
    });
    expect(await second.get("url.b")).toBeUndefined();
  });

  it("keeps no value that is too large, and no more than its bytes", async () => {
    await using opened = new AsyncDisposableStack();
    const server = opened.adopt(await startNats(), (nats) => nats.stop());
    const cache = replica(server.url, opened, { bytesMax: 20_000 });
    await untilShared(cache, cache);
    cache.put("url.large", Buffer.alloc(101));
    const keys = Array.from({ length: 200 }, (_, i) => `url.${i}`);
    for (const key of keys) {
      cache.put(key, Buffer.alloc(100));
      await cache.get(key); // one after the other
    }
    const got = await Promise.all(keys.map((key) => cache.get(key)));
    const kept = got.filter((bytes) => bytes !== undefined).length;
    expect(kept).toBeGreaterThan(10);
    expect(kept).toBeLessThan(200);
    expect(await cache.get("url.large")).toBeUndefined();
  });

  it("is empty while there is no server, and shares again when one comes", async () => {
    await using opened = new AsyncDisposableStack();
    const server = opened.adopt(await startNats(), (nats) => nats.stop());
    const [first, second] = [replica(server.url, opened, { deadlineMs: 200 }), replica(server.url, opened, { deadlineMs: 200 })];
    await untilShared(first, second);
    await server.kill();
    for (let i = 0; i < 10; i++) {
      first.put("url.a", value);
      expect(await first.get("url.a")).toBeUndefined();
    }
    await server.restart({ wipe: true });
    await untilShared(first, second);
  });

  it("makes nobody wait for a server that just failed", async () => {
    await using opened = new AsyncDisposableStack();
    const server = opened.adopt(await startNats(), (nats) => nats.stop());
    const cache = replica(server.url, opened, { deadlineMs: 300, restMs: 60_000 });
    await untilShared(cache, cache);
    server.freeze();
    opened.defer(() => server.thaw());
    await cache.get("url.a");
    let turns = 0;
    const timer = setImmediate(() => turns++);
    expect(await cache.get("url.a")).toBeUndefined(); // at once: no turn of the event loop was needed
    expect(turns).toBe(0);
    clearImmediate(timer);
  });

  it("is empty, without an error, where nobody listens", async () => {
    await using opened = new AsyncDisposableStack();
    const cache = replica("nats://127.0.0.1:1", opened);
    cache.put("url.a", value);
    expect(await cache.get("url.a")).toBeUndefined();
  });
});
