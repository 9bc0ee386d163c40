// Discovery against an etcd that wants a login.
import { type EtcdServer, startEtcd } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Follower } from "../src/discovery/discovery.suite.ts";
import { connectDiscovery } from "../src/discovery/etcd-discovery.ts";
import { etcdConfig, quiet } from "./etcd-cell.ts";

const login = { username: "root", password: "correct horse" };

describe("an etcd with users", () => {
  let etcd: EtcdServer;
  beforeAll(async () => {
    etcd = await startEtcd();
    await ask("user/add", { name: login.username, password: login.password });
    await ask("user/grant", { user: login.username, role: "root" });
    await ask("user/add", { name: "guest", password: "guest" });
    await ask("role/add", { name: "reader" });
    await ask("role/grant", { name: "reader", perm: { permType: "READ", key: btoa("v1/"), range_end: btoa("v10") } });
    await ask("user/grant", { user: "guest", role: "reader" });
    await ask("enable", {});
  });
  afterAll(() => etcd.stop());

  const ask = async (method: string, body: object): Promise<void> => {
    const answer = await fetch(`${etcd.url}/v3/auth/${method}`, { method: "POST", body: JSON.stringify(body) });
    expect(answer.status, await answer.text()).toBe(200);
  };

  it("lets in who has the password, and again after a restart that made all tokens invalid", async () => {
    const discovery = await connectDiscovery(etcdConfig(etcd.url, { login }), { log: quiet });
    const follower = new Follower(discovery, "s/");
    await discovery.register(() => ({ key: "s/before", value: "1" }));
    await follower.shows({ "s/before": "1" });
    await etcd.restart();
    await discovery.register(() => ({ key: "s/after", value: "1" }));
    await follower.shows({ "s/before": "1", "s/after": "1" });
    await discovery.close();
  });

  it("tells who may read but not write, instead of trying for ever", async () => {
    const guest = { username: "guest", password: "guest" };
    const discovery = await connectDiscovery(etcdConfig(etcd.url, { login: guest }), { log: quiet });
    const registering = discovery.register(() => ({ key: "v1/x", value: "1" }));
    await expect(registering).rejects.toMatchObject({ code: "configuration", message: expect.stringContaining("permission denied") });
    await discovery.close();
  });

  it.each([
    ["a wrong password", { login: { ...login, password: "hunter2" } }],
    ["no login", {}],
  ])("is not asked over and over with %s", async (_, overrides) => {
    const connecting = connectDiscovery(etcdConfig(etcd.url, overrides), { log: quiet });
    await expect(connecting).rejects.toMatchObject({ code: "configuration", message: expect.stringContaining("etcd list: ") });
  });
});
