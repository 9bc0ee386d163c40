// The supervisor against a real etcd that is killed, frozen, compacted, wiped: a follower's map must end up equal to a plain list.
import { startFaultProxy } from "@mm-router/testkit";
import { type EtcdServer, startEtcd } from "@mm-router/testkit/infra";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { Follower } from "../src/discovery/discovery.suite.ts";
import { connectDiscovery } from "../src/discovery/etcd-discovery.ts";
import { type EtcdCell, etcdCell, etcdConfig, quiet, shortTtlS } from "./etcd-cell.ts";

/** Seconds: for leases that must live, whatever else the machine does. */
const longTtlS = 6;

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

  const story = async (ttlS = shortTtlS): Promise<EtcdCell> => {
    const own = await etcdCell(etcd, ttlS);
    open.push(own);
    return own;
  };

  it("killed and restarted: the same lease, nothing told twice, changes made at once are seen", async () => {
    const { gateway, follower, discovery, keys } = await story(longTtlS);
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

  it("away longer than the TTL: the last known instances stay, the lease lives on, what was registered meanwhile is written", async () => {
    const { gateway, follower, discovery, keys } = await story();
    const before = discovery.instanceId;
    await etcd.kill();
    const later = discovery.register(() => ({ key: "s/later", value: "1" }));
    await new Promise((resolve) => setTimeout(resolve, 2 * shortTtlS * 1000)); // the fact to be shown is that time passed
    expect(Object.fromEntries(follower.map)).toEqual(keys);
    await etcd.restart();
    await later;
    await follower.shows({ ...keys, "s/later": "1" });
    expect(discovery.instanceId).toBe(before);
    expect(await gateway.list("s/")).toEqual(Object.fromEntries(follower.map));
  });

  it("frozen longer than the TTL: a new lease, every key under the new id", async () => {
    const { gateway, follower, discovery } = await story();
    const before = discovery.instanceId;
    etcd.freeze();
    await new Promise((resolve) => setTimeout(resolve, 2 * shortTtlS * 1000));
    etcd.thaw();
    await vi.waitFor(() => expect(discovery.instanceId).not.toBe(before), { timeout: 30_000, interval: 50 });
    await follower.shows({ "s/old": "1", [`s/own-${discovery.instanceId}`]: "2" });
    expect(await gateway.list("s/")).toEqual(Object.fromEntries(follower.map));
  });

  it("lease revoked by another: a new one and the keys again within a third of the TTL and a moment", async () => {
    const { gateway, follower, discovery } = await story(longTtlS);
    const before = discovery.instanceId;
    await gateway.revoke(before);
    await vi.waitFor(() => expect(discovery.instanceId).not.toBe(before), { timeout: longTtlS * 1000, interval: 20 });
    await follower.shows({ "s/old": "1", [`s/own-${discovery.instanceId}`]: "2" });
    expect(await gateway.list("s/")).toEqual(Object.fromEntries(follower.map));
  });

  it("wiped: keys of others vanish, its own are written again under a new lease", async () => {
    const { gateway, follower, discovery } = await story();
    const before = discovery.instanceId;
    await etcd.restart({ wipe: true });
    await gateway.put("s/fresh", "1"); // at a lower revision than the follower has seen
    await vi.waitFor(() => expect(discovery.instanceId).not.toBe(before), { timeout: 30_000, interval: 50 });
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

  it("cut off ten times under changes: equal to a plain list in the end, its lease never lost", async () => {
    const { gateway } = await story();
    await using proxy = await startFaultProxy(etcd.port);
    const discovery = await connectDiscovery(etcdConfig(`http://127.0.0.1:${proxy.port}`, { leaseTtlS: longTtlS }), { log: quiet });
    const before = discovery.instanceId;
    const follower = new Follower(discovery, "s/");
    for (let round = 0; round < 10; round++) {
      await gateway.put(`s/cut-${round % 3}`, `${round}`);
      await gateway.delete(`s/cut-${(round + 1) % 3}`);
      await vi.waitFor(() => expect(proxy.connections).toBeGreaterThan(0), { timeout: 30_000, interval: 5 });
      proxy.cut(); // now within a list, now right after a watch began, now between two events
    }
    await follower.shows(await gateway.list("s/"));
    expect(follower.map.get("s/cut-0")).toBe("9");
    expect(discovery.instanceId).toBe(before);
    await discovery.close();
    for (const key of ["s/cut-0", "s/cut-1", "s/cut-2"]) await gateway.delete(key);
  });

  it("frozen when it stops: close ends within its deadline all the same", async () => {
    const { discovery } = await story();
    etcd.freeze();
    try {
      const before = performance.now();
      await discovery.close();
      expect(performance.now() - before).toBeLessThan(5_000); // 1 s for the revoke, the rest for a busy machine
    } finally {
      etcd.thaw();
    }
  });
});
