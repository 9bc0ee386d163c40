// The whole analysis against upstream's router and the real publishers: multimodal/routing.json, peer/images-*.json.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { blockHashes, nameOfHash } from "@mm-router/kv";
import { dialectOf, type ImageDialect, type MmHash, parseJson, stringifyJson } from "@mm-router/protocol";
import { golden, goldenPath } from "@mm-router/testkit/golden";
import { afterAll, describe, expect, it } from "vitest";
import { egressPolicyOf, imageConfigDefaults } from "./config.ts";
import { DecodePool } from "./decode-pool.ts";
import { createImageAnalyser } from "./image-analyser.ts";
import { type Analysis, type AnalysisInput, analyseImages } from "./image-analysis.ts";
import type { ImageFetcher } from "./image-fetch.ts";
import { ImageLoader } from "./image-loader.ts";
import { ImageModel } from "./image-model.ts";
import { SharedImages } from "./shared-images.ts";

type RunLengths = (number | [id: number, count: number])[];

interface Prediction {
  image_ranges: [number, number][] | null;
  mm_hashes: string[] | null;
  routing_tokens: RunLengths;
  block_mm_infos: (string[] | null)[] | null;
  block_hashes?: string[];
  pad_block_hashes?: string[];
}

interface RoutingCase {
  name: string;
  images: string[];
  block_size: number;
  model_type: string;
  token_ids: RunLengths;
  "1.0.0"?: Prediction;
  "1.4"?: Prediction;
}

const { cases, images } = golden<{ cases: RoutingCase[]; images: Record<string, string> }>("multimodal/routing.json");
const withPrediction = cases.flatMap((testCase) =>
  (["1.0.0", "1.4"] as const).flatMap((version) => {
    const prediction = testCase[version];
    return prediction === undefined ? [] : [{ ...testCase, version, prediction }];
  }),
);
/** Upstream gives up where placeholders and images differ in number, and on model types that it does not know. */
const predicted = withPrediction.filter(({ prediction }) => prediction.block_mm_infos !== null);
const mismatched = withPrediction.filter(({ token_ids, images }) => images.length > 0 && placeholdersIn(token_ids) !== images.length);

const silent = { metrics: { loaded() {}, decoded() {} }, log: { debug() {} } };
const analyser = createImageAnalyser(imageConfigDefaults, { egress: egressPolicyOf({}), ...silent });
afterAll(() => analyser.close());

function modelOf({ model_type }: Pick<RoutingCase, "model_type">): ImageModel {
  const config = { model_type, image_token_id: 151_655, vocab_size: 151_936 };
  return new ImageModel({ config, processor: { patch_size: 14, merge_size: 2, min_pixels: 3_136, max_pixels: 12_845_056 } });
}

function analyse(testCase: RoutingCase, release: string, dialect: ImageDialect, more: Partial<AnalysisInput> = {}): Promise<Analysis> {
  const input = {
    tokenIds: Uint32Array.from(unpacked(testCase.token_ids)),
    images: testCase.images.map((name) => images[name]),
    model: modelOf(testCase),
    blockSize: testCase.block_size,
    dialect,
    worker: dialectOf(release),
    ...more,
  };
  return analyser.analyse(input, AbortSignal.timeout(20_000));
}

function placeholdersIn(tokenIds: RunLengths): number {
  return unpacked(tokenIds).filter((id) => id === 151_655).length;
}

function unpacked(runs: RunLengths): number[] {
  return runs.flatMap((run) => (typeof run === "number" ? [run] : new Array<number>(run[1]).fill(run[0])));
}

function hashed({ routingTokens: tokens, blockMmInfos }: Analysis, blockSize: number): string[] {
  return Array.from(blockHashes({ tokens, blockSize, blockMmInfos }), String);
}

/** In the words of the fixture. */
function described(analysis: Analysis, blockSize: number) {
  const infos = analysis.blockMmInfos ?? [];
  return {
    quality: analysis.quality,
    tokens: Array.from(analysis.routingTokens),
    ranges: analysis.ranges.map(({ start, end }) => [start, end]),
    mm_hashes: analysis.ranges.map(({ mmHash }) => mmHash.toString()),
    infos: infos.map((info) => info?.mm_objects.map((object) => object.mm_hash.toString()) ?? null),
    block_hashes: hashed(analysis, blockSize),
  };
}

function wanted(prediction: Prediction) {
  const hasImages = prediction.image_ranges !== null;
  return {
    quality: { kind: "exact" },
    tokens: unpacked(prediction.routing_tokens),
    ranges: prediction.image_ranges ?? [],
    mm_hashes: prediction.mm_hashes ?? [],
    // A text prompt has no infos with us; upstream writes a null for each block.
    infos: hasImages ? prediction.block_mm_infos : [],
    block_hashes: prediction.block_hashes,
  };
}

function namesIn({ mm_hashes }: Prediction): string[] | undefined {
  return mm_hashes?.map((hash) => nameOfHash(BigInt(hash) as MmHash));
}

describe("analysis of recorded prompts", () => {
  it("predicts the tokens, ranges, infos and block hashes of 1.0 workers from the pixels alone", async () => {
    const old = predicted.filter(({ version }) => version === "1.0.0");
    expect(old.length).toBeGreaterThan(60);
    for (const testCase of old) {
      const analysis = await analyse(testCase, "1.0.2", "oov-s1");
      expect({ name: testCase.name, ...described(analysis, testCase.block_size) }).toEqual({
        name: testCase.name,
        ...wanted(testCase.prediction),
      });
    }
  });

  it("predicts the same for workers that keep the image token, with the names of the request", async () => {
    for (const testCase of predicted.filter(({ version }) => version === "1.4")) {
      const analysis = await analyse(testCase, "1.4.2", "in-vocab", { givenHashes: namesIn(testCase.prediction) });
      expect({ name: testCase.name, ...described(analysis, testCase.block_size) }).toEqual({
        name: testCase.name,
        ...wanted(testCase.prediction),
      });
    }
  });

  it("predicts the block hashes of publishers that put pad values in place of images", async () => {
    const withPads = predicted.filter(({ prediction }) => prediction.pad_block_hashes !== undefined);
    expect(withPads.length).toBeGreaterThan(55);
    for (const testCase of withPads) {
      const analysis = await analyse(testCase, "1.6.1", "pad", { givenHashes: namesIn(testCase.prediction) });
      expect(analysis.blockMmInfos).toBeUndefined();
      expect([testCase.name, hashed(analysis, testCase.block_size)]).toEqual([testCase.name, testCase.prediction.pad_block_hashes]);
    }
  });

  it("keeps the text before the first image where upstream's router fails the request", async () => {
    const newer = mismatched.filter(({ version }) => version === "1.4");
    expect(newer.length).toBeGreaterThanOrEqual(4);
    for (const testCase of newer) {
      const { quality, routingTokens, refusal } = await analyse(testCase, "1.6.1", "pad");
      const tokens = unpacked(testCase.token_ids);
      const firstImage = tokens.indexOf(151_655);
      expect([testCase.name, quality.kind]).toEqual([testCase.name, firstImage < 0 ? "fallback" : "degraded"]);
      expect(Array.from(routingTokens)).toEqual(tokens.slice(0, Math.max(0, firstImage)));
      expect(refusal).toBeUndefined();
    }
  });

  it("refuses for workers that exit on them the prompts whose placeholders do not fit, and no others", async () => {
    for (const testCase of withPrediction) {
      const { refusal } = await analyse(testCase, "1.0.2", "oov-s1");
      expect([testCase.name, refusal?.status]).toEqual([testCase.name, mismatched.includes(testCase) ? 400 : undefined]);
    }
  });
});

interface PeerCase {
  case: string;
  received: {
    token_ids: number[];
    multi_modal_data: { image_url: { Url: string }[] };
    extra_args: { mm_hashes?: string[] };
    mm_routing_info?: { routing_token_ids: number[]; expanded_prompt_len: number };
  };
  forwarded: { mm_routing_info: { routing_token_ids: number[]; block_mm_infos: unknown } };
}

/** The recorded image server, without a network. */
const fetcher: ImageFetcher = {
  async fetch(url, sink) {
    sink.take(readFileSync(goldenPath(`peer/images/${basename(new URL(url).pathname)}`)));
    return { isUnchanged: false, isKept: true, freshMs: undefined, validators: undefined };
  },
};

describe("analysis of requests that upstream's router received", () => {
  const pool = new DecodePool({ pixelsMax: 1_000_000, secondsMax: 20, pixelBytesMax: 10_000_000 });
  afterAll(() => pool.close());
  const loader = new ImageLoader(
    { dataUrlBytesMax: 1_000_000, bytesInFlightMax: 10_000_000, freshMs: 60_000, cacheEntriesMax: 100 },
    { fetcher, pool, shared: new SharedImages(), ...silent },
  );
  const dependencies = { ...imageConfigDefaults, loader, guard: { refusalOf: async () => undefined } };

  function analysePeer({ received }: PeerCase, release: string, dialect: ImageDialect): Promise<Analysis> {
    const input: AnalysisInput = {
      tokenIds: Uint32Array.from(received.token_ids),
      images: received.multi_modal_data.image_url.map(({ Url }) => Url),
      givenHashes: received.extra_args.mm_hashes,
      model: modelOf({ model_type: "qwen2_5_vl" }),
      blockSize: 32,
      dialect,
      worker: dialectOf(release),
    };
    return analyseImages(input, dependencies, AbortSignal.timeout(20_000));
  }

  it("makes of every one what upstream made of it for 1.0 workers", async () => {
    const { cases } = golden<{ cases: PeerCase[] }>("peer/images-1.0.2.json");
    expect(cases.length).toBeGreaterThan(25);
    for (const testCase of cases) {
      const { routingTokens, blockMmInfos } = await analysePeer(testCase, "1.0.2", "oov-s1");
      const upstream = testCase.forwarded.mm_routing_info;
      const infos = parseJson(stringifyJson(blockMmInfos));
      expect([testCase.case, Array.from(routingTokens), infos]).toEqual([
        testCase.case,
        upstream.routing_token_ids,
        upstream.block_mm_infos,
      ]);
    }
  });

  it("agrees with the 1.4 frontend, whose names the events carry, where upstream's router never hits (W11)", async () => {
    const { cases } = golden<{ cases: PeerCase[] }>("peer/images-1.4.2.json");
    expect(cases.length).toBeGreaterThan(25);
    for (const testCase of cases) {
      const { routingTokens, identities, ours } = await analysePeer(testCase, "1.4.2", "pad");
      const { routing_token_ids = [], expanded_prompt_len } = testCase.received.mm_routing_info ?? {};
      expect([testCase.case, Array.from(routingTokens)]).toEqual([testCase.case, routing_token_ids.slice(0, expanded_prompt_len)]);
      expect({ identities, ours }).toEqual({ identities: testCase.received.extra_args.mm_hashes, ours: false });
    }
  });
});
