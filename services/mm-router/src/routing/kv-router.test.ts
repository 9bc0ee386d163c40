import type { IndexAnswer } from "@mm-router/runtime";
import { blockHashes, LocalScheduler } from "@mm-router/kv";
import { AppError } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { type Analysis, type AnalysisInput, ImageModel } from "../multimodal/index.ts";
import { readRequest } from "../received-request.ts";
import { idOf, keepingLog, workerOfRelease } from "../testing.ts";
import type { Worker } from "../workers/worker.ts";
import type { WorkerDirectory } from "../workers/worker-directory.ts";
import type { DegradeReason } from "./degrade.ts";
import { KvRouter } from "./kv-router.ts";
import type { OverlapSource } from "./overlap-source.ts";

const noAbort = new AbortController().signal;
const text = '{"token_ids":[1,2,3,4,5,6,7,8,9]';
const image = `${text},"multi_modal_data":{"image_url":[{"Url":"data:x"}]}`;
const requestOf = (start: string, more = "") => readRequest({ codec: "json", body: Buffer.from(`${start}${more}}`) });

interface Asked {
  readonly model: string;
  readonly hashes: bigint[];
}

function routerOf(
  workers: Worker[],
  parts: { answer?: (asked: Asked) => IndexAnswer; analyse?: (input: AnalysisInput) => Promise<Analysis> } = {},
) {
  const asked: Asked[] = [];
  const degraded: DegradeReason[] = [];
  const log = keepingLog();
  const query = (model: string, hashes: BigUint64Array) => {
    asked.push({ model, hashes: [...hashes] });
    return Promise.resolve(parts.answer?.(asked.at(-1)!) ?? { scores: [] });
  };
  const router = new KvRouter({
    workers: { available: () => workers } as unknown as WorkerDirectory,
    overlaps: { query, routed: () => {} } as unknown as OverlapSource,
    scheduler: new LocalScheduler({ blockSize: 4, config: {}, now: () => 0, random: () => 0 }),
    analyser: { analyse: parts.analyse ?? (() => Promise.reject(new Error("no images expected"))) },
    model: new ImageModel({ config: {}, processor: {} }),
    blockSize: 4,
    onDegraded: (reason) => degraded.push(reason),
    log,
  });
  return { router, asked, degraded, log };
}

const analysis = (facts: Partial<Analysis> = {}): Analysis => ({
  routingTokens: new Uint32Array([1, 2, 3, 4]),
  blockMmInfos: undefined,
  ranges: [],
  promptTokens: 152,
  identities: undefined,
  ours: false,
  quality: { kind: "exact" },
  ...facts,
});

describe("KvRouter", () => {
  it("asks the index once for text, by the workers' name and the hashes of full blocks", async () => {
    const { router, asked, degraded } = routerOf([workerOfRelease("1.0.2", 1), workerOfRelease("1.6.1", 2)], {
      answer: () => ({ scores: [{ worker: { workerId: idOf(2), dpRank: 0 }, blocks: 2 }] }),
    });
    const choice = (await router.plan(requestOf(text), noAbort)).choose(new Set());
    expect(asked).toEqual([
      { model: "m__internal", hashes: [...blockHashes({ tokens: new Uint32Array([1, 2, 3, 4, 5, 6, 7, 8]), blockSize: 4 })] },
    ]);
    expect(choice?.worker.instanceId).toBe(idOf(2));
    expect(degraded).toEqual([]);
  });

  it("asks once per kind of worker where releases hash differently, and believes an answer for its kind alone", async () => {
    const { router, asked } = routerOf([workerOfRelease("0.9.1", 1), workerOfRelease("1.6.1", 2)], {
      answer: () => ({ scores: [1, 2].map((n) => ({ worker: { workerId: idOf(n), dpRank: 0 }, blocks: n })) }),
    });
    const plan = await router.plan(requestOf(text, ',"routing":{"lora_name":"a","cache_salt":"s"}'), noAbort);
    const tokens = new Uint32Array([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(asked.map(({ hashes }) => hashes)).toEqual([
      [...blockHashes({ tokens, blockSize: 4 })],
      [...blockHashes({ tokens, blockSize: 4, loraName: "a", cacheNamespace: "s" })],
    ]);
    expect(plan.choose(new Set())?.booking.decision.ranks.map(({ overlapBlocks }) => overlapBlocks)).toEqual([1, 2]);
  });

  it("balances workers with another block size by load alone and asks nothing about them", async () => {
    const { router, asked, degraded } = routerOf([workerOfRelease("1.4.2", 1, { blockSize: 64 })]);
    expect((await router.plan(requestOf(text), noAbort)).choose(new Set())?.worker.instanceId).toBe(idOf(1));
    expect(asked).toEqual([]);
    expect(degraded).toEqual(["block-size"]);
  });

  it("counts why the index had no answer", async () => {
    const { router, degraded } = routerOf([workerOfRelease("1.4.2", 1)], { answer: () => ({ scores: [], degraded: "index-late" }) });
    await router.plan(requestOf(text), noAbort);
    expect(degraded).toEqual(["index-late"]);
  });

  it("gives the image analysis what it needs and routes by its tokens", async () => {
    const inputs: AnalysisInput[] = [];
    const { router, asked, degraded } = routerOf([workerOfRelease("1.6.1", 1, { promptTokensMax: 100 })], {
      analyse: (input) => {
        inputs.push(input);
        return Promise.resolve(
          analysis({ ours: true, identities: ["00000000000000ff"], quality: { kind: "degraded", reason: "timeout" } }),
        );
      },
    });
    const info =
      ',"mm_routing_info":{"routing_token_ids":[9,9,9,0],"expanded_prompt_len":3},"mm_processor_kwargs":{"min_pixels":1},"extra_args":{"mm_hashes":["aa"]}';
    const choice = (await router.plan(requestOf(image, info), noAbort)).choose(new Set());
    expect(inputs[0]).toMatchObject({
      images: ["data:x"],
      givenHashes: ["aa"],
      frontendTokens: new Uint32Array([9, 9, 9]),
      processorOptions: { min_pixels: 1 },
      dialect: "pad",
      promptTokensMax: 100,
    });
    expect(choice?.prompt).toMatchObject({ islTokens: 152, mmHashes: ["00000000000000ff"], quality: { reason: "timeout" } });
    expect(asked[0]?.hashes).toEqual([...blockHashes({ tokens: new Uint32Array([1, 2, 3, 4]), blockSize: 4 })]);
    expect(degraded).toEqual(["timeout"]);
  });

  it("does not give processor options of the request to releases that ignore them", async () => {
    const { router } = routerOf([workerOfRelease("1.4.2", 1)], {
      analyse: ({ processorOptions }) => {
        expect(processorOptions).toBeUndefined();
        return Promise.resolve(analysis());
      },
    });
    await router.plan(requestOf(image, ',"mm_processor_kwargs":{"min_pixels":1}'), noAbort);
  });

  it("routes by load when the analysis has a fault, and says so", async () => {
    const { router, degraded, log } = routerOf([workerOfRelease("1.4.2", 1)], { analyse: () => Promise.reject(new TypeError("bug")) });
    expect((await router.plan(requestOf(image), noAbort)).choose(new Set())?.worker.instanceId).toBe(idOf(1));
    expect(degraded).toEqual(["analysis-failed"]);
    expect(log.lines[0]).toMatchObject({ level: "error", msg: "image analysis failed" });
  });

  it("does not ask the index about workers that must not get the request", async () => {
    const refusal = new AppError("image_forbidden", "inside", { status: 400 });
    const { router, asked } = routerOf([workerOfRelease("1.0.2", 1)], { analyse: () => Promise.resolve(analysis({ refusal })) });
    const plan = await router.plan(requestOf(image), noAbort);
    expect(asked).toEqual([]);
    expect(() => plan.choose(new Set())).toThrow(refusal);
  });

  it("rejects when the client left during the analysis", async () => {
    const left = new AbortController();
    const { router } = routerOf([workerOfRelease("1.4.2", 1)], {
      analyse: () => {
        left.abort(new AppError("client_closed", "left"));
        return Promise.reject(left.signal.reason);
      },
    });
    await expect(router.plan(requestOf(image), left.signal)).rejects.toMatchObject({ code: "client_closed" });
  });
});
