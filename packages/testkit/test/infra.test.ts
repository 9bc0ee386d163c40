import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { type InfraServer, startEtcd, startNats } from "../src/infra.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** etcd's JSON gateway: an oracle that shares nothing with our client. */
async function etcdCall(etcd: InfraServer, method: string, body: object): Promise<{ count?: string }> {
  const answer = await fetch(`${etcd.url}/v3/kv/${method}`, { method: "POST", body: JSON.stringify(body) });
  return (await answer.json()) as { count?: string };
}

async function natsInfo(nats: InfraServer): Promise<Record<string, unknown>> {
  const socket = connect(nats.port, "127.0.0.1");
  const [greeting] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return JSON.parse(greeting.toString().slice("INFO ".length)) as Record<string, unknown>;
}

describe("startNats", () => {
  it("starts a server with JetStream that takes requests with inline images", async () => {
    await using nats = await startNats();
    expect(await natsInfo(nats)).toMatchObject({ jetstream: true, max_payload: 8 * 1024 * 1024 });
  });

  it("gives each test a server of its own", async () => {
    await using first = await startNats({ maxPayload: "1MB" });
    await using second = await startNats();
    expect((await natsInfo(first)).server_id).not.toBe((await natsInfo(second)).server_id);
    expect((await natsInfo(first)).max_payload).toBe(1024 * 1024);
  });

  it("comes back on the same port after a kill", async () => {
    await using nats = await startNats();
    const before = await natsInfo(nats);
    await nats.kill();
    await expect(natsInfo(nats)).rejects.toThrow("ECONNREFUSED");
    await nats.restart();
    expect((await natsInfo(nats)).server_id).not.toBe(before.server_id);
  });

  it("says nothing while it is frozen and answers again when it is thawed", async () => {
    await using nats = await startNats();
    nats.freeze();
    const answer = natsInfo(nats);
    const silence = new Promise((resolve) => setTimeout(resolve, 300, "silence"));
    expect(await Promise.race([answer, silence])).toBe("silence");
    nats.thaw();
    expect(await answer).toHaveProperty("server_id");
  });
});

describe("startEtcd", () => {
  const key = base64("v1/instances/a");

  it("keeps its keys over a restart and loses them when it is wiped", async () => {
    await using etcd = await startEtcd();
    await etcdCall(etcd, "put", { key, value: base64("1") });
    await etcd.restart();
    expect((await etcdCall(etcd, "range", { key })).count).toBe("1");
    await etcd.restart({ wipe: true });
    expect((await etcdCall(etcd, "range", { key })).count).toBeUndefined();
  });

  it("is gone after its block, frozen or not", async () => {
    let port: number;
    {
      await using etcd = await startEtcd();
      port = etcd.port;
      etcd.freeze();
    }
    await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow("fetch failed");
  });
});
