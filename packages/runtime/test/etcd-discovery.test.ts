// Discovery against a real etcd that stays up.
import { type EtcdServer, startEtcd } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { discoverySuite } from "../src/discovery/discovery.suite.ts";
import { connectDiscovery } from "../src/discovery/etcd-discovery.ts";
import { etcdCell, etcdConfig, quiet, shortTtlS } from "./etcd-cell.ts";
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

  it("follows again after others compacted away the history that it watched from", async () => {
    await using own = await etcdCell(etcd);
    await own.gateway.put("s/early", "1");
    await own.follower.shows({ ...own.keys, "s/early": "1" });
    await own.gateway.compact();
    await own.gateway.put("s/late", "2");
    await own.follower.shows({ ...own.keys, "s/early": "1", "s/late": "2" });
    await own.gateway.delete("s/early");
    await own.gateway.delete("s/late");
  });
});
