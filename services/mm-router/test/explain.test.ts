// The explanation of a request, against what then becomes of the request.
import { dataUrl, solidPng } from "@mm-router/testkit";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fact, RouterCell, says, textRequest } from "./router-cell.ts";

let servers: { nats: NatsServer; etcd: EtcdServer };

beforeAll(async () => {
  const [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
  servers = { nats, etcd };
});

afterAll(async () => {
  await Promise.all([servers?.nats.stop(), servers?.etcd.stop()]);
});

describe("an explanation", () => {
  it("names the worker that the request then goes to, and why, and neither books nor sends nor counts anything", async () => {
    await using cell = new RouterCell(servers);
    const [first, second] = [await cell.worker(says(1)), await cell.worker(says(2))];
    await cell.index(() => [{ worker: { workerId: second.instanceId, dpRank: 0 }, blocks: 2 }]);
    const { metrics } = await cell.router();
    const explanations = [await cell.explanation(textRequest(70)), await cell.explanation(textRequest(70))];
    for (const explanation of explanations) {
      expect(explanation).toMatchObject({ prompt_tokens: 70, images: 0, refusal: null, decision: { quality: "exact", reason: null } });
      expect(explanation.choice).toEqual({ worker_id: `${second.instanceId}`, dp_rank: 0 });
      expect(explanation.ties).toEqual([explanation.choice]);
      expect(explanation.kinds).toMatchObject([{ releases: ["1.4"], routing_tokens: 70, blocks: 2, quality: "exact" }]);
      expect(explanation.kinds[0]?.index).toMatchObject({ asked: true, answered: true, degraded: [] });
      const idle = { active_prefill_tokens: 0, active_decode_blocks: 0, new_decode_blocks: 2, active_requests: 0 };
      const costOf = (overlap: number) => 70 / 32 - overlap + 2; // tokens to prefill, in blocks, and the blocks that come
      expect(new Map(explanation.candidates.map(({ worker_id: id, ...rank }) => [id, rank]))).toEqual(
        new Map([
          [`${first.instanceId}`, { dp_rank: 0, overlap_blocks: 0, ...idle, cost: costOf(0) }],
          [`${second.instanceId}`, { dp_rank: 0, overlap_blocks: 2, ...idle, cost: costOf(2) }],
        ]),
      );
    }
    expect([...first.requests, ...second.requests]).toEqual([]);
    expect(await metrics.text()).not.toMatch(/mm_router_(requests|blocks)_total(\{.*\})? [1-9]/);
    await cell.items(textRequest(70));
    expect([first.requests.length, second.requests.length]).toEqual([0, 1]);
  });

  it("shows the load of requests that run, and follows it as the choice does", async () => {
    await using cell = new RouterCell(servers);
    const go = Promise.withResolvers<void>();
    const waits = () => go.promise;
    const workers = [await cell.worker(waits), await cell.worker(waits)];
    await cell.index(() => []);
    await cell.router();
    const running = await cell.call(textRequest(70));
    await fact(() => workers.some(({ requests }) => requests.length === 1));
    const busy = workers.find(({ requests }) => requests.length === 1)!;
    const { candidates, choice } = await cell.explanation(textRequest(70));
    expect(candidates.find(({ worker_id: id }) => id === `${busy.instanceId}`)).toMatchObject({
      active_prefill_tokens: 70,
      active_decode_blocks: 2,
      new_decode_blocks: 0,
      active_requests: 1,
    });
    const other = workers.find((worker) => worker !== busy)!;
    expect(choice?.worker_id).toBe(`${other.instanceId}`);
    const second = await cell.call(textRequest(70));
    await fact(() => busy.requests.length + other.requests.length === 2);
    expect(other.requests.length).toBe(1);
    go.resolve();
    for (const stream of [running, second]) for await (const _ of stream) expect.unreachable();
  });

  it("says why it knew less than everything, without counting it as a routed request", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker(says(1), { release: "1.6" });
    const { metrics } = await cell.router();
    const tokens = [...Array.from({ length: 40 }, (_, i) => 1000 + i), 151652, 151655, 151653, 7].join(",");
    const withImage = (url: string) => `{"token_ids":[${tokens}],"multi_modal_data":{"image_url":[{"Url":"${url}"}]}}`;
    const good = await cell.explanation(withImage(dataUrl(solidPng(56, 56, 0xff0000))));
    expect(good.images).toBe(1);
    expect(good.kinds[0]).toMatchObject({ quality: "exact", names_images: "router", routing_tokens: 47, blocks: 1 });
    expect(good.decision).toMatchObject({ quality: "fallback", reason: { reason: "index-missing" } });
    expect(good.kinds[0]?.index).toMatchObject({ asked: false, answered: false, took_ms: null, degraded: [{ reason: "index-missing" }] });
    const bad = await cell.explanation(withImage("data:image/png;base64,AAAA"));
    expect(bad.kinds[0]).toMatchObject({ quality: "degraded", degraded: [{ meaning: expect.any(String) }] });
    expect(await metrics.text()).not.toMatch(/mm_router_degraded_total\{.*\} [1-9]/);
  });

  it("tells a request that would be refused", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker(says(1), { release: "1.0", card: { context_length: 16 } });
    await cell.router();
    expect((await cell.explanation(textRequest(16))).refusal).toContain("16 tokens");
    expect(await cell.explanation(textRequest(8))).toMatchObject({ refusal: null });
  });
});
