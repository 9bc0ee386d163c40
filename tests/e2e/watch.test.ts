// `mmr watch` as an operator calls it, beside a running system.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { addressesOf, type Cluster, cluster, commandLine, publicModel } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";

interface View {
  readonly routers: readonly { readonly requests_per_second: number; readonly hit_rate: number | null }[];
  readonly indexers: readonly { readonly blocks: number; readonly events_per_second: number }[];
  readonly workers: readonly { readonly worker_id: string; readonly release: string; readonly blocks: number | null }[];
}

await describeReal("mmr watch", real.infra, () => {
  let system: Cluster;
  beforeAll(async () => {
    system = await cluster({ requestPlane: "tcp", workers: { count: 2 }, indexer: true, routers: 2, frontends: ["ours"] });
  });
  afterAll(() => system?.[Symbol.asyncDispose]());

  async function watch(...flags: string[]): Promise<string> {
    const command = [commandLine, "watch", "--once", "--namespace", system.place.namespace, ...flags];
    const { stdout } = await promisify(execFile)(process.execPath, command, { env: { ...process.env, ...addressesOf(system.place) } });
    return stdout;
  }

  async function ask(content: string): Promise<void> {
    const answer = await fetch(`${system.frontends[0]!.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: publicModel, max_tokens: 4, messages: [{ role: "user", content }] }),
    });
    expect(answer.status).toBe(200);
    await answer.arrayBuffer();
  }

  it("tells who is there, what happens, and what is held, as JSON and as tables", async () => {
    const prompt = "what do you hold? ".repeat(40);
    await ask(prompt);
    const watching = watch("--json", "--interval", "3");
    let isWatching = true;
    void watching.finally(() => (isWatching = false));
    while (isWatching) await ask(prompt); // so that something happens between its two looks
    const view = JSON.parse(await watching) as View;
    expect(view.routers).toHaveLength(2);
    expect(view.routers.reduce((sum, row) => sum + row.requests_per_second, 0)).toBeGreaterThan(0);
    expect(Math.max(...view.routers.map((row) => row.hit_rate ?? 0))).toBeGreaterThan(0.5); // the same prompt again and again
    expect(view.indexers).toHaveLength(1);
    expect(view.workers.map(({ worker_id }) => worker_id)).toEqual(system.simulatedWorkers.map(({ instanceId }) => `${instanceId}`).sort());
    expect(view.workers.reduce((sum, { blocks }) => sum + (blocks ?? 0), 0)).toBe(view.indexers[0]!.blocks);
    expect(view.indexers[0]!.blocks).toBeGreaterThan(0);

    const text = await watch("--interval", "0.1");
    for (const { instanceId } of [...system.routers, system.indexer!, ...system.simulatedWorkers]) expect(text).toContain(`${instanceId}`);
  });
});
