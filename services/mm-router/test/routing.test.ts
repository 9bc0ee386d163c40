// mm-router over real NATS, TCP and etcd, in front of scripted workers.
import { AppError, errorItem, errorOf, parseJson } from "@mm-router/protocol";
import { type Handler, StreamAborted } from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import { dataUrl, solidPng } from "@mm-router/testkit";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fact, type Plane, RouterCell, says, textRequest } from "./router-cell.ts";

let servers: { nats: NatsServer; etcd: EtcdServer };

beforeAll(async () => {
  const [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
  servers = { nats, etcd };
});

afterAll(async () => {
  await Promise.all([servers?.nats.stop(), servers?.etcd.stop()]);
});

const imageRequest = (url: string) =>
  `{"token_ids":[${Array.from({ length: 40 }, (_, i) => 1000 + i).join(",")},151652,151655,151653,7],"multi_modal_data":{"image_url":[{"Url":"${url}"}]},"stop_conditions":{"max_tokens":1}}`;

describe.each<Plane>(["nats", "tcp"])("over %s", (plane) => {
  it("forwards what real frontends sent, byte for byte but for routing.dp_rank, under their context id", async () => {
    await using cell = new RouterCell(servers, plane);
    const worker = await cell.worker(says(1, 2), { release: "1.4", card: { context_length: 0 } });
    await cell.router();
    const bodies = recordedBodies();
    expect(bodies.length).toBeGreaterThan(20);
    for (const [n, body] of bodies.entries()) {
      expect((await cell.items(body, { contextId: `ctx-${n}` })).map(({ data }) => data)).toEqual([
        { token_ids: [1], index: 0 },
        { token_ids: [2], index: 0 },
      ]);
      const { contextId, body: forwarded } = worker.requests.at(-1)!;
      expect(contextId).toBe(`ctx-${n}`);
      const expected = body.includes('"routing":{}')
        ? body.replace('"routing":{}', '"routing":{"dp_rank":0}')
        : `${body.slice(0, -1)},"routing":{"dp_rank":0}}`;
      expect(forwarded.toString()).toBe(expected);
    }
  });

  it("tells the worker when the client leaves", async () => {
    await using cell = new RouterCell(servers, plane);
    const told = Promise.withResolvers<void>();
    await cell.worker(async ({ signal }, sink) => {
      await sink.item({ data: { token_ids: [1] } });
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      told.resolve();
    });
    const { lines } = await cell.router();
    const left = new AbortController();
    const stream = (await cell.call(textRequest(8), { signal: left.signal }))[Symbol.asyncIterator]();
    expect((await stream.next()).done).toBe(false);
    left.abort(new AppError("client_closed", "left"));
    await told.promise;
    await expect(stream.next()).rejects.toMatchObject({ code: "client_closed" });
    await fact(() => lines.some(({ outcome }) => outcome === "client_closed"));
  });

  it("goes on to a worker that lives when the best one's record names nobody", async () => {
    await using cell = new RouterCell(servers, plane);
    const worker = await cell.worker(says(7));
    const gone = await cell.recordOfNobody();
    await cell.index(() => [{ worker: { workerId: gone, dpRank: 0 }, blocks: 2 }]);
    const { metrics } = await cell.router();
    for (let n = 0; n < 3; n++) expect((await cell.items(textRequest(70))).length).toBe(1);
    expect(worker.requests.length).toBe(3);
    expect(await metrics.text()).toMatch(/mm_router_retries_total [1-3]/);
  });
});

describe("a request", () => {
  it("goes to the worker that holds its prefix, as the index says", async () => {
    await using cell = new RouterCell(servers);
    const [, second] = [await cell.worker(says(1)), await cell.worker(says(2))];
    const queries = await cell.index(() => [{ worker: { workerId: second!.instanceId, dpRank: 0 }, blocks: 2 }]);
    const { metrics, lines } = await cell.router();
    for (let n = 0; n < 3; n++) expect((await cell.items(textRequest(70)))[0]?.data).toEqual({ token_ids: [2], index: 0 });
    expect(queries[0]).toMatchObject({ model_name: "m__internal" });
    expect((queries[0] as { block_hashes: unknown[] }).block_hashes.length).toBe(2);
    expect(await metrics.text()).toContain("mm_router_overlap_blocks_total 6");
    expect(lines.findLast(({ msg }) => msg === "request done")).toMatchObject({
      overlap_blocks: 2,
      isl_tokens: 70,
      outcome: "ended",
      instance_id: second!.instanceId.toString(16),
    });
  });

  it("is routed by load, and counted, when the index is silent", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker(says(1));
    const silence = Promise.withResolvers<[]>();
    await cell.index(() => silence.promise);
    const { metrics } = await cell.router([], { MMR_INDEX_DEADLINE_MS: "100" });
    expect((await cell.items(textRequest(70))).length).toBe(1);
    expect(await metrics.text()).toContain('mm_router_degraded_total{reason="index-late"} 1');
    silence.resolve([]);
  });

  it("is routed where there is no NATS for an index of the router's own, and by one that is served later", async () => {
    await using cell = new RouterCell(servers, "tcp");
    await cell.worker(says(1));
    const { metrics, lines } = await cell.router([], { MMR_INDEX: "auto", NATS_SERVER: "nats://127.0.0.1:1" });
    expect(lines.some(({ msg }) => `${msg as string}`.startsWith("no NATS, so no index in this process"))).toBe(true);
    await cell.items(textRequest(70));
    expect(await metrics.text()).toContain('mm_router_degraded_total{reason="index-missing"} 1');
    const queries = await cell.index(() => []);
    await fact(async () => {
      await cell.items(textRequest(70));
      return queries.length > 0;
    });
  });

  it("is routed by an index of the router's own unless one is served", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker(says(1));
    const { metrics, lines } = await cell.router([], { MMR_INDEX: "auto" });
    expect(lines.some(({ msg }) => msg === "keeping an index of its own")).toBe(true);
    await cell.items(textRequest(70));
    expect(await metrics.text()).toContain('mm_router_indexer_queries_total{outcome="scores"} 1');
    expect(await metrics.text()).toContain('mm_router_degraded_total{reason="index-missing"} 0');
    await using indexed = new RouterCell(servers);
    await indexed.worker(says(1));
    const queries = await indexed.index(() => []);
    const asking = await indexed.router([], { MMR_INDEX: "auto" });
    await indexed.items(textRequest(70));
    expect([queries.length, asking.lines.some(({ msg }) => msg === "keeping an index of its own")]).toEqual([1, false]);
  });

  it("is routed without an index, and finds one that comes later", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker(says(1));
    const { metrics } = await cell.router();
    await cell.items(textRequest(70));
    expect(await metrics.text()).toContain('mm_router_degraded_total{reason="index-missing"} 1');
    const queries = await cell.index(() => []);
    await fact(async () => {
      await cell.items(textRequest(70));
      return queries.length > 0;
    });
  });

  it("is routed by what was sent before where events are not wanted, and nobody is asked", async () => {
    await using cell = new RouterCell(servers);
    for (let n = 0; n < 2; n++) await cell.worker(says(1));
    const queries = await cell.index(() => []);
    await cell.router(["--no-router-kv-events"]);
    await cell.items(textRequest(70));
    const { choice, candidates } = await cell.explanation(textRequest(70));
    const believed = candidates.map(
      ({ worker_id, overlap_blocks }) => `${worker_id === choice?.worker_id ? "chosen" : "other"} ${overlap_blocks}`,
    );
    expect(new Set(believed)).toEqual(new Set(["chosen 2", "other 0"]));
    expect(queries).toEqual([]);
  });

  it("is refused as overloaded where every worker is above its threshold, and waits where a queue is wanted", async () => {
    await using cell = new RouterCell(servers);
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let begun = 0;
    const slow: Handler = async (_request, sink) => {
      await gates[begun++]?.promise;
      await sink.item({ data: { token_ids: [1], index: 0 } });
    };
    await cell.worker(slow, {
      release: "1.6",
      card: { runtime_config: { structural_tag: {}, data_parallel_size: 1, max_num_batched_tokens: 1_000 } },
    });
    const refusing = await cell.router(["--active-prefill-tokens-threshold", "50"]);
    const first = cell.items(textRequest(70));
    await fact(() => begun === 1);
    const [refusal] = await cell.items(textRequest(70));
    expect(errorOf(refusal!)?.message).toContain("every worker that may serve this request is busy");
    gates[0]!.resolve();
    expect(await first).toHaveLength(1);
    await refusing.service.close();

    const waiting = await cell.router(["--router-queue-threshold", "0.05"]);
    const second = cell.items(textRequest(70));
    await fact(() => begun === 2);
    const third = cell.items(textRequest(70));
    await fact(async () => (await waiting.metrics.text()).includes("mm_router_waiting_requests 1"));
    expect(begun).toBe(2);
    gates[1]!.resolve();
    expect([await second, await third].map((items) => items.length)).toEqual([1, 1]);
  });

  it("brings the worker's error back with its status and text", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker((_request, sink) =>
      sink.item({ event: "error", error: { error_type: { Backend: "InvalidArgument" }, message: "ValueError: too hot" } }),
    );
    await cell.router();
    const [item] = await cell.items(textRequest(4));
    expect(errorOf(item!)).toMatchObject({ code: "invalid_request", status: 400, message: "ValueError: too hot" });
  });

  it("that loses its worker after items is broken off, and is not given to another", async () => {
    await using cell = new RouterCell(servers);
    const dies = async (_request: unknown, sink: { item(item: object): Promise<void> }) => {
      await sink.item({ data: { token_ids: [1] } });
      throw new StreamAborted("killed");
    };
    const workers = [await cell.worker(dies), await cell.worker(dies)];
    await cell.router();
    await expect(cell.items(textRequest(4))).rejects.toMatchObject({ code: "worker_lost" });
    expect(workers.reduce((sum, { requests }) => sum + requests.length, 0)).toBe(1);
  });

  it("that loses its worker before any item ends with 503, so that nobody sets the router aside", async () => {
    await using cell = new RouterCell(servers);
    await cell.worker(() => Promise.reject(new StreamAborted("killed")));
    await cell.router();
    const [item] = await cell.items(textRequest(4));
    expect(errorOf(item!)?.status).toBe(503);
  });

  it("without any worker ends with 503", async () => {
    await using cell = new RouterCell(servers);
    const worker = await cell.worker(says(1));
    await cell.router();
    await worker.runtime.close();
    await fact(async () => errorOf((await cell.items(textRequest(4)))[0]!)?.status === 503);
  });

  it("that would end the worker is refused with 400 and never sent", async () => {
    await using cell = new RouterCell(servers);
    const worker = await cell.worker(says(1), { release: "1.0", card: { context_length: 16 } });
    await cell.router();
    const [item] = await cell.items(textRequest(16));
    expect(errorOf(item!)).toMatchObject({ code: "invalid_request", status: 400 });
    expect(worker.requests).toEqual([]);
  });

  it("of 4 MB passes both legs", async () => {
    await using cell = new RouterCell(servers);
    const worker = await cell.worker(says(1), { release: "1.6" });
    await cell.router();
    const padding = "A".repeat(4_000_000);
    await cell.items(textRequest(8, `,"padding":"${padding}"`));
    expect(worker.requests[0]!.body.length).toBeGreaterThan(4_000_000);
  });
});

describe("a request with an image", () => {
  const picture = dataUrl(solidPng(56, 56, 0xff0000));

  it("gets a name for a worker ≥ 1.4, the same for the same file, another for another one", async () => {
    await using cell = new RouterCell(servers);
    const worker = await cell.worker(says(1), { release: "1.6" });
    const queries = (await cell.index(() => [])) as { block_hashes: bigint[] }[];
    await cell.router();
    for (const url of [picture, picture, dataUrl(solidPng(56, 56, 0x00ff00))]) await cell.items(imageRequest(url));
    const names = worker.requests.map(({ body }) => (parseJson(body) as { extra_args: { mm_hashes: string[] } }).extra_args.mm_hashes);
    expect(names[0]).toEqual([expect.stringMatching(/^[0-9a-f]{16}$/)]);
    expect(names[1]).toEqual(names[0]);
    expect(names[2]).not.toEqual(names[0]);
    expect(queries.map(({ block_hashes }) => block_hashes)).toEqual([
      queries[0]!.block_hashes,
      queries[0]!.block_hashes,
      expect.not.arrayContaining([queries[0]!.block_hashes[1]]),
    ]);
  });

  it("keeps the names that came", async () => {
    await using cell = new RouterCell(servers);
    const worker = await cell.worker(says(1), { release: "1.6" });
    await cell.router();
    const request = `${imageRequest(picture).slice(0, -1)},"extra_args":{"mm_hashes":["7ce30e12c31d474d"]}}`;
    await cell.items(request);
    expect(worker.requests[0]!.body.toString()).toBe(`${request.slice(0, -1)},"routing":{"dp_rank":0}}`);
  });

  it("gets no name for a worker that reads none", async () => {
    await using cell = new RouterCell(servers);
    const worker = await cell.worker(says(1), { release: "1.0" });
    await cell.router();
    await cell.items(imageRequest(picture));
    expect(worker.requests[0]!.body.toString()).toBe(`${imageRequest(picture).slice(0, -1)},"routing":{"dp_rank":0}}`);
  });

  it("from a private address is refused towards workers that would fetch it, and goes to those that refuse it themselves", async () => {
    await using cell = new RouterCell(servers);
    const old = await cell.worker(says(1), { release: "1.0" });
    await cell.router();
    const [item] = await cell.items(imageRequest("http://169.254.169.254/latest/meta-data"));
    expect(errorOf(item!)?.status).toBe(400);
    expect(old.requests).toEqual([]);
    const fresh = await cell.worker(says(2), { release: "1.6" });
    await fact(async () => (await cell.items(imageRequest("http://169.254.169.254/latest/meta-data")))[0]?.data !== undefined);
    expect(fresh.requests.length).toBe(1);
    expect(old.requests).toEqual([]);
  });

  it("that cannot be read is routed by the text before it, counted, and answered by the worker", async () => {
    await using cell = new RouterCell(servers);
    const worker = await cell.worker((_request, sink) => sink.item(errorItem(new AppError("image_undecodable", "no image"))), {
      release: "1.6",
    });
    const { metrics } = await cell.router();
    const [item] = await cell.items(imageRequest("data:image/png;base64,AAAA"));
    expect(errorOf(item!)?.status).toBe(415);
    expect(worker.requests.length).toBe(1);
    expect(await metrics.text()).toMatch(/mm_router_degraded_total\{reason="(unsupported-format|undecodable)"\} 1/);
  });
});

/** Bodies of real frontends ≥ 1.4: with names for their images, so that nothing but dp_rank is to be added. */
function recordedBodies(): string[] {
  return ["wire/frontend-to-tokens-worker.json", "wire/frontend-to-tokens-worker-images.json"].flatMap((name) =>
    golden<{ cases: { version: string; worker_body?: string }[] }>(name).cases.flatMap(({ version, worker_body: body }) => {
      const isNamed = body !== undefined && (!body.includes('"multi_modal_data"') || body.includes('"mm_hashes"'));
      const hasHints = body?.includes('"routing":{"') === true;
      return /^1\.[456]/.test(version) && body?.includes('"token_ids"') && isNamed && !hasHints ? [body] : [];
    }),
  );
}
