// `mmr explain` as an operator calls it, against what the request then does.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Cluster, cluster, commandLine, publicModel } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";

await describeReal("mmr explain", real.infra, () => {
  let system: Cluster;
  beforeAll(async () => {
    system = await cluster({ requestPlane: "tcp", workers: { count: 1 }, indexer: true, routers: 1, frontends: ["ours"] });
  });
  afterAll(() => system?.[Symbol.asyncDispose]());

  const request = JSON.stringify({
    model: publicModel,
    max_tokens: 4,
    messages: [{ role: "user", content: "why this worker? ".repeat(40) }],
  });

  async function explain(...flags: string[]): Promise<string> {
    const file = join(system.place.directory, "request.json");
    writeFileSync(file, request);
    const command = [commandLine, "explain", file, "--namespace", system.place.namespace, ...flags];
    const { natsUrl, etcdUrl, requestPlane } = system.place;
    const env = { ...process.env, NATS_SERVER: natsUrl, ETCD_ENDPOINTS: etcdUrl, DYN_REQUEST_PLANE: requestPlane };
    const { stdout } = await promisify(execFile)(process.execPath, command, { env });
    return stdout;
  }

  it("counts the prompt as the frontend does and names the worker that is there", async () => {
    const told = JSON.parse(await explain("--json")) as { explanation: { prompt_tokens: number; choice: object; kinds: object[] } };
    const answer = await fetch(`${system.frontends[0]!.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: request,
    });
    const { usage } = (await answer.json()) as { usage: { prompt_tokens: number } };
    expect(told.explanation.prompt_tokens).toBe(usage.prompt_tokens);
    expect(told.explanation.choice).toEqual({ worker_id: `${system.simulatedWorkers[0]!.instanceId}`, dp_rank: 0 });
    expect(told.explanation.kinds).toMatchObject([{ quality: "exact", index: { asked: true, answered: true } }]);
  });

  it("prints a table with the chosen worker marked", async () => {
    expect(await explain()).toMatch(new RegExp(`^\\* ${system.simulatedWorkers[0]!.instanceId} +0 `, "m"));
  });
});
