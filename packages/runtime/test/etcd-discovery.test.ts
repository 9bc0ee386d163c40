// Discovery against a real etcd that stays up.
import { type EtcdServer, startEtcd } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { WatchListener } from "../src/discovery/discovery.ts";
import { discoverySuite, Follower } from "../src/discovery/discovery.suite.ts";
import { EtcdClient } from "../src/discovery/etcd-client.ts";
import { connectDiscovery } from "../src/discovery/etcd-discovery.ts";
import { EtcdWatch } from "../src/discovery/etcd-watch.ts";
import { systemClock } from "../src/flow/clock.ts";
import { createLogger } from "../src/service/log.ts";
import { etcdConfig, quiet, shortTtlS } from "./etcd-cell.ts";
import { EtcdGateway } from "./etcd-gateway.ts";

describe("with an etcd that stays up", () => {
  let etcd: EtcdServer;
  let gateway: EtcdGateway;
  beforeAll(async () => {
    etcd = await startEtcd();
    gateway = new EtcdGateway(etcd.url);
  });
  afterAll(() => etcd.stop());

  discoverySuite("etcd discovery", async () => ({
    connect: () => connectDiscovery(etcdConfig(etcd.url), { log: quiet }),
    loseLease: (discovery) => gateway.revoke(discovery.instanceId),
    close: async () => {},
  }));

  it("takes a lease of the TTL that the config says", async () => {
    const discovery = await connectDiscovery(etcdConfig(etcd.url, { leaseTtlS: 17 }), { log: quiet });
    expect(await gateway.grantedTtlS(discovery.instanceId)).toBe(17);
    await discovery.close();
  });

  it("outlives its TTL many times", async () => {
    const discovery = await connectDiscovery(etcdConfig(etcd.url), { log: quiet });
    const id = discovery.instanceId;
    await discovery.register(() => ({ key: "alive/x", value: "1" }));
    await new Promise((resolve) => setTimeout(resolve, 2.5 * shortTtlS * 1000)); // the fact to be shown is that time passed
    expect(await gateway.list("alive/")).toEqual({ "alive/x": "1" });
    expect(discovery.instanceId).toBe(id);
    await discovery.close();
  });

  it("never doubts a watch of a healthy etcd: not for its own keep-alives, not for another watch that was closed", async () => {
    const warnings: string[] = [];
    const log = createLogger({ service: "test", level: "warn", destination: (line) => warnings.push(line) });
    const discovery = await connectDiscovery(etcdConfig(etcd.url), { log });
    const follower = new Follower(discovery, "calm/");
    const other = discovery.watch("other/", { put: () => {}, delete: () => {} });
    await other.ready;
    other.close();
    // the fact to be shown is that time passed: nine keep-alives of the lease, one ping of the connection (5 s)
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    await gateway.put("calm/x", "1");
    await follower.shows({ "calm/x": "1" });
    expect(warnings).toEqual([]);
    await discovery.close();
    await gateway.delete("calm/x");
  });

  it("revokes its lease when it stops, so that its keys are gone at once", async () => {
    const discovery = await connectDiscovery(etcdConfig(etcd.url, { leaseTtlS: 60 }), { log: quiet });
    const { instanceId } = discovery;
    await discovery.register(() => ({ key: "stop/x", value: "1" }));
    await discovery.close();
    expect(await gateway.list("stop/")).toEqual({});
    expect(await gateway.grantedTtlS(instanceId)).toBe(-1);
  });

  it("says in one sentence where it looked for etcd, and what to do, when nobody answers there", async () => {
    const nobody = etcdConfig("http://127.0.0.1:9", { connectDeadlineMs: 300 });
    await expect(connectDiscovery(nobody, { log: quiet })).rejects.toMatchObject({
      code: "dependency_unreachable",
      message: "etcd at http://127.0.0.1:9 does not answer within 0.3 s: start it, or set ETCD_ENDPOINTS",
    });
  });

  it("uses the endpoint that answers when another does not", async () => {
    const discovery = await connectDiscovery(etcdConfig(etcd.url, { endpoints: ["http://127.0.0.1:9", etcd.url] }), { log: quiet });
    await discovery.register(() => ({ key: "two/x", value: "1" }));
    expect(await gateway.list("two/")).toEqual({ "two/x": "1" });
    await discovery.close();
  });

  it("names the TLS file that cannot be read", async () => {
    const tls = { ca: "/nowhere/ca.pem", clientCert: "/nowhere/cert.pem", clientKey: "/nowhere/key.pem" };
    await expect(connectDiscovery(etcdConfig(etcd.url, { tls }), { log: quiet })).rejects.toMatchObject({
      code: "configuration",
      message: expect.stringContaining("/nowhere/ca.pem"),
    });
  });

  it("tells what changed between its list and its watch", async () => {
    await using own = await followerInterrupted(etcd, () => gateway.put("gap/x", "1"));
    await own.follower.shows({ "gap/x": "1" });
    await gateway.delete("gap/x");
    await own.follower.shows({});
  });

  it("lists again at once when others compacted the history between its list and its watch", async () => {
    const interrupt = async (): Promise<void> => {
      await gateway.put("gap/x", "1");
      await gateway.put("gap/x", "2");
      await gateway.compact();
    };
    await using own = await followerInterrupted(etcd, interrupt);
    await own.follower.shows({ "gap/x": "2" }, 5_000); // silence alone would be noticed after 6 s
    await gateway.delete("gap/x");
    await own.follower.shows({});
  });
});

/** A follower of `gap/` that is held up once, right after its first list. */
async function followerInterrupted(etcd: EtcdServer, interrupt: () => Promise<void>): Promise<{ follower: Follower } & AsyncDisposable> {
  const client = new EtcdClient(etcdConfig(etcd.url));
  const watchDirectly = client.watch.bind(client);
  client.watch = async (...args) => {
    client.watch = watchDirectly;
    await interrupt();
    return watchDirectly(...args);
  };
  const watch = (prefix: string, listener: WatchListener) => new EtcdWatch(prefix, listener, { client, log: quiet, clock: systemClock });
  const follower = new Follower({ watch }, "gap/");
  const close = async (): Promise<void> => {
    follower.close();
    client.close();
  };
  return { follower, [Symbol.asyncDispose]: close };
}
