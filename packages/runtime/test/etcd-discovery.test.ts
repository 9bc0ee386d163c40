// The supervisor against a real etcd that is killed, frozen, compacted, wiped: a follower's map must end up equal to a plain list.
import { type EtcdServer, startEtcd } from "@mm-router/testkit/infra";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Follower, discoverySuite } from "../src/discovery/discovery.suite.ts";
import type { Discovery, EtcdConfig } from "../src/discovery/discovery.ts";
import { connectDiscovery } from "../src/discovery/etcd-discovery.ts";
import { createLogger } from "../src/service/log.ts";
import { EtcdGateway } from "./etcd-gateway.ts";

const log = createLogger({ service: "test", level: "error", destination: () => {} });
const ttlS = 2; // the shortest that etcd grants

function configFor(url: string, overrides: Partial<EtcdConfig> = {}): EtcdConfig {
  return { endpoints: [url], leaseTtlS: ttlS, connectDeadlineMs: 10_000, ...overrides };
}

describe("with an etcd that stays up", () => {
  let etcd: EtcdServer;
  let gateway: EtcdGateway;
  beforeAll(async () => {
    etcd = await startEtcd();
    gateway = new EtcdGateway(etcd.url);
  });
  afterAll(() => etcd.stop());

  discoverySuite("etcd discovery", async () => ({
    connect: () => connectDiscovery(configFor(etcd.url), { log }),
    loseLease: (discovery) => gateway.revoke(discovery.instanceId),
    close: async () => {},
  }));

  it("takes a lease of the TTL that the config says", async () => {
    const discovery = await connectDiscovery(configFor(etcd.url, { leaseTtlS: 17 }), { log });
    expect(await gateway.grantedTtlS(discovery.instanceId)).toBe(17);
    await discovery.close();
  });

  it("outlives its TTL many times", async () => {
    const discovery = await connectDiscovery(configFor(etcd.url), { log });
    const id = discovery.instanceId;
    await discovery.register(() => ({ key: "alive/x", value: "1" }));
    await new Promise((resolve) => setTimeout(resolve, 3 * ttlS * 1000)); // the fact to be shown is that time passed
    expect(await gateway.list("alive/")).toEqual({ "alive/x": "1" });
    expect(discovery.instanceId).toBe(id);
    await discovery.close();
  });

  it("revokes its lease when it stops, so that its keys are gone at once", async () => {
    const discovery = await connectDiscovery(configFor(etcd.url, { leaseTtlS: 60 }), { log });
    const { instanceId } = discovery;
    await discovery.register(() => ({ key: "stop/x", value: "1" }));
    await discovery.close();
    expect(await gateway.list("stop/")).toEqual({});
    expect(await gateway.grantedTtlS(instanceId)).toBe(-1);
  });

  it("says in one sentence where it looked for etcd, and what to do, when nobody answers there", async () => {
    const nobody = configFor("http://127.0.0.1:9", { connectDeadlineMs: 300 });
    await expect(connectDiscovery(nobody, { log })).rejects.toMatchObject({
      code: "dependency_unreachable",
      message: "etcd at http://127.0.0.1:9 does not answer within 0.3 s: start it, or set ETCD_ENDPOINTS",
    });
  });

  it("uses the endpoint that answers when another does not", async () => {
    const discovery = await connectDiscovery(configFor(etcd.url, { endpoints: ["http://127.0.0.1:9", etcd.url] }), { log });
    await discovery.register(() => ({ key: "two/x", value: "1" }));
    expect(await gateway.list("two/")).toEqual({ "two/x": "1" });
    await discovery.close();
  });

  it("names the TLS file that cannot be read", async () => {
    const tls = { ca: "/nowhere/ca.pem", clientCert: "/nowhere/cert.pem", clientKey: "/nowhere/key.pem" };
    await expect(connectDiscovery(configFor(etcd.url, { tls }), { log })).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringContaining("/nowhere/ca.pem"),
    });
  });

  it("follows again after others compacted away the history that it watched from", async () => {
    await using own = await cell(etcd);
    await own.gateway.put("s/early", "1");
    await own.follower.shows({ ...own.keys, "s/early": "1" });
    await own.gateway.compact();
    await own.gateway.put("s/late", "2");
    await own.follower.shows({ ...own.keys, "s/early": "1", "s/late": "2" });
    await own.gateway.delete("s/early");
    await own.gateway.delete("s/late");
  });
});

describe("when etcd fails", { timeout: 60_000 }, () => {
  let etcd: EtcdServer;
  const open: AsyncDisposable[] = [];
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  afterEach(async () => {
    for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
  });
  afterAll(() => etcd.stop());

  const story = async (): Promise<Cell> => {
    const own = await cell(etcd);
    open.push(own);
    return own;
  };

  it("killed and restarted: the same lease, nothing told twice, changes made at once are seen", async () => {
    const { gateway, follower, discovery, keys } = await story();
    const before = discovery.instanceId;
    await etcd.kill();
    await etcd.restart();
    await gateway.put("s/new", "1");
    await follower.shows({ ...keys, "s/new": "1" });
    expect(discovery.instanceId).toBe(before);
    expect(follower.told.filter((line) => line.startsWith("put s/old"))).toHaveLength(1);
    expect(follower.told.filter((line) => line.startsWith("delete"))).toEqual([]);
    await gateway.delete("s/new");
  });

  it("away: the last known instances stay, and a registration made meanwhile is written when it is back", async () => {
    const { follower, discovery, keys } = await story();
    await etcd.kill();
    const later = discovery.register(() => ({ key: "s/later", value: "1" }));
    await new Promise((resolve) => setTimeout(resolve, ttlS * 1000 + 500)); // longer than any lease would live
    expect(Object.fromEntries(follower.map)).toEqual(keys);
    await etcd.restart();
    await later;
    await follower.shows({ ...keys, "s/later": "1" });
  });

  it("away longer than the TTL with its store kept: the same lease lives on, nobody stands there twice", async () => {
    const { gateway, follower, discovery, keys } = await story();
    const before = discovery.instanceId;
    await etcd.kill();
    await new Promise((resolve) => setTimeout(resolve, 2 * ttlS * 1000));
    await etcd.restart();
    await gateway.put("s/back", "1");
    await follower.shows({ ...keys, "s/back": "1" });
    expect(discovery.instanceId).toBe(before);
    await gateway.delete("s/back");
  });

  it("frozen longer than the TTL: a new lease, every key under the new id", async () => {
    const { gateway, follower, discovery } = await story();
    const before = discovery.instanceId;
    etcd.freeze();
    await new Promise((resolve) => setTimeout(resolve, 2 * ttlS * 1000));
    etcd.thaw();
    await vi.waitFor(() => expect(discovery.instanceId).not.toBe(before), { timeout: 15_000, interval: 50 });
    await follower.shows({ "s/old": "1", [`s/own-${discovery.instanceId}`]: "2" });
    expect(await gateway.list("s/")).toEqual(Object.fromEntries(follower.map));
  });

  it("lease revoked by another: a new one and the keys again within a third of the TTL and a moment", async () => {
    const { gateway, follower, discovery } = await story();
    const before = discovery.instanceId;
    await gateway.revoke(before);
    await vi.waitFor(() => expect(discovery.instanceId).not.toBe(before), { timeout: ttlS * 1000, interval: 20 });
    await follower.shows({ "s/old": "1", [`s/own-${discovery.instanceId}`]: "2" }, 2000);
    expect(await gateway.list("s/")).toEqual(Object.fromEntries(follower.map));
  });

  it("wiped: keys of others vanish, its own are written again under a new lease", async () => {
    const { gateway, follower, discovery } = await story();
    const before = discovery.instanceId;
    await etcd.restart({ wipe: true });
    await gateway.put("s/fresh", "1"); // at a lower revision than the follower has seen
    await vi.waitFor(() => expect(discovery.instanceId).not.toBe(before), { timeout: 10_000, interval: 50 });
    await follower.shows({ "s/fresh": "1", [`s/own-${discovery.instanceId}`]: "2" });
    await gateway.delete("s/fresh");
  });

  it("history compacted while the follower was cut off: changes and deletions of that time are told", async () => {
    const { gateway, follower, keys } = await story();
    await gateway.put("s/doomed", "1");
    await follower.shows({ ...keys, "s/doomed": "1" });
    await etcd.restart();
    await gateway.delete("s/doomed");
    for (let i = 0; i < 20; i++) await gateway.put("s/busy", `${i}`);
    await gateway.compact();
    await follower.shows({ ...keys, "s/busy": "19" });
    await gateway.delete("s/busy");
  });

  it("killed five times in a row under changes: equal to a plain list in the end", async () => {
    const { gateway, follower } = await story();
    for (let round = 0; round < 5; round++) {
      await gateway.put(`s/round-${round}`, "1");
      if (round > 0) await gateway.delete(`s/round-${round - 1}`);
      await etcd.restart();
    }
    await follower.shows(await gateway.list("s/"));
    expect(follower.map.get("s/round-4")).toBe("1");
    await gateway.delete("s/round-4");
  });

  it("frozen when it stops: close ends within its deadline all the same", async () => {
    const { discovery } = await story();
    etcd.freeze();
    try {
      const before = performance.now();
      await discovery.close();
      expect(performance.now() - before).toBeLessThan(2000); // 1 s for the revoke, the rest for a busy machine
    } finally {
      etcd.thaw();
    }
  });
});

interface Cell extends AsyncDisposable {
  readonly gateway: EtcdGateway;
  /** Owns the key `s/own-<id>`. */
  readonly discovery: Discovery;
  /** Of another process, so that it is told what others are told. */
  readonly follower: Follower;
  /** What the follower shows at the start. */
  readonly keys: Readonly<Record<string, string>>;
}

async function cell(etcd: EtcdServer): Promise<Cell> {
  const gateway = new EtcdGateway(etcd.url);
  const discovery = await connectDiscovery(configFor(etcd.url), { log });
  const observer = await connectDiscovery(configFor(etcd.url), { log });
  await gateway.put("s/old", "1"); // without a lease: stays until it is deleted
  await discovery.register((id) => ({ key: `s/own-${id}`, value: "2" }));
  const keys = { "s/old": "1", [`s/own-${discovery.instanceId}`]: "2" };
  const follower = new Follower(observer, "s/");
  await follower.shows(keys);
  const close = async (): Promise<void> => {
    await discovery.close();
    await observer.close();
    await gateway.delete("s/old");
  };
  return { gateway, discovery, follower, keys, [Symbol.asyncDispose]: close };
}
