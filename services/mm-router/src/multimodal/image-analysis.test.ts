import { AppError, dialectOf, type ImageDialect, type MmHash } from "@mm-router/protocol";
import { nameOfHash, padValue, urlIdentity } from "@mm-router/kv";
import { describe, expect, it } from "vitest";
import { type AnalysisDependencies, type AnalysisInput, analyseImages } from "./image-analysis.ts";
import type { ImageNeed } from "./image-intake.ts";
import { ImageModel } from "./image-model.ts";
import type { LoadedImage } from "./loaded-image.ts";
import type { DegradeReason } from "./quality.ts";

const pad = 900;
const model = new ImageModel({
  config: { model_type: "qwen2_vl", image_token_id: pad, vocab_size: 1000 },
  processor: { min_pixels: 3_136, max_pixels: 12_845_056 },
});

/** 28 × 28 pixels are 4 tokens, 56 × 56 the same, 112 × 84 are 12. */
function png(width: number, height: number, more: Partial<LoadedImage> = {}): LoadedImage {
  const header = { format: "png", mode: "RGB", width, height } as const;
  return { header, content: 0xc0ffeen as MmHash, pixels: 0x51n as MmHash, problem: undefined, ...more };
}

function broken(reason: DegradeReason): LoadedImage {
  return { header: undefined, content: undefined, pixels: undefined, problem: reason };
}

interface Asked {
  url: string;
  need: ImageNeed;
}

function world(images: Record<string, LoadedImage>, more: Partial<AnalysisDependencies> = {}): AnalysisDependencies & { asked: Asked[] } {
  const asked: Asked[] = [];
  const loader = {
    async load(url: string, need: ImageNeed) {
      asked.push({ url, need });
      return images[url] ?? broken("unreachable");
    },
  };
  return { identity: "content", imagesMax: 8, imagesParallel: 2, loader, guard: { refusalOf: async () => undefined }, asked, ...more };
}

function request(images: (string | undefined)[], dialect: ImageDialect = "pad", release = "1.6.1"): AnalysisInput {
  const tokenIds = Uint32Array.from([1, 2, ...images.flatMap((_, i) => [pad, 10 + i]), 3]);
  return { tokenIds, images, model, blockSize: 2, dialect, worker: dialectOf(release) };
}

const signal = new AbortController().signal;
const a = "https://a.example/a.png";
const b = "https://b.example/b.png";
const c = "https://c.example/c.png";

describe("analyseImages", () => {
  it("hands a text request back as it is and asks for nothing", async () => {
    const deps = world({});
    const input = request([]);
    const analysis = await analyseImages(input, deps, signal);
    expect(analysis.routingTokens).toBe(input.tokenIds);
    expect(analysis).toMatchObject({ promptTokens: 3, ranges: [], identities: undefined, ours: false, quality: { kind: "exact" } });
    expect(deps.asked).toEqual([]);
  });

  it.each<[ImageDialect, string, string[] | undefined, "content" | "url", ImageNeed | undefined]>([
    ["oov-s1", "1.0.2", undefined, "content", "pixels"],
    ["oov-s1", "1.2.1", ["10ee6e61b387de3b"], "content", "pixels"],
    ["pad", "1.4.2", ["10ee6e61b387de3b"], "content", "size"],
    ["in-vocab", "1.6.1", ["10ee6e61b387de3b"], "content", "size"],
    ["pad", "1.6.1", undefined, "content", "content"],
    ["pad", "1.6.1", undefined, "url", "size"],
    ["none", "0.9.1", undefined, "content", undefined],
  ])("asks for %s (%s), names %j, rule %s: %s", async (dialect, release, givenHashes, identity, need) => {
    const deps = world({ [a]: png(28, 28) }, { identity });
    await analyseImages({ ...request([a], dialect, release), givenHashes }, deps, signal);
    expect(deps.asked).toEqual(need === undefined ? [] : [{ url: a, need }]);
  });

  it("names images by their content and tells the names", async () => {
    const analysis = await analyseImages(
      request([a, b]),
      world({ [a]: png(28, 28), [b]: png(112, 84, { content: 7n as MmHash }) }),
      signal,
    );
    expect(analysis).toMatchObject({ identities: ["0000000000c0ffee", "0000000000000007"], ours: true, quality: { kind: "exact" } });
    expect(analysis.ranges.map(({ start, end, mmHash }) => [start, end, mmHash])).toEqual([
      [2, 6, 0xc0ffeen],
      [7, 19, 7n],
    ]);
    expect(analysis.promptTokens).toBe(analysis.routingTokens.length);
  });

  it("takes given names as they are, and ours where the worker could not use them", async () => {
    const given = { ...request([a]), givenHashes: [`10EE6E61B387DE3B${"0".repeat(48)}`] };
    expect(await analyseImages(given, world({ [a]: png(28, 28) }), signal)).toMatchObject({ identities: given.givenHashes, ours: false });
    const unusable = { ...request([a]), givenHashes: ["my-cat-in-the-garden"] };
    expect(await analyseImages(unusable, world({ [a]: png(28, 28) }), signal)).toMatchObject({
      identities: ["0000000000c0ffee"],
      ours: true,
    });
  });

  it("keeps the blocks before an image that cannot be read, and names that one by its URL so that the list has no gap", async () => {
    const deps = world({ [a]: png(28, 28), [b]: broken("timeout"), [c]: png(28, 28) });
    const analysis = await analyseImages(request([a, b, c]), deps, signal);
    const first = padValue(0xc0ffeen as MmHash);
    expect(Array.from(analysis.routingTokens)).toEqual([1, 2, first, first, first, first, 10]);
    expect(analysis).toMatchObject({ quality: { kind: "degraded", reason: "timeout" }, ours: true, ranges: [{ start: 2, end: 6 }] });
    expect(analysis.identities?.[1]).toBe(nameOfHash(urlIdentity(b)));
    // 9 tokens of the prompt, 3 more for each of the two images that were counted
    expect(analysis.promptTokens).toBe(15);
  });

  it("needs no bytes beyond the size of a file that is over the limit", async () => {
    const large = { ...broken("too-large"), header: png(28, 28).header };
    const analysis = await analyseImages(request([a]), world({ [a]: large }), signal);
    expect(analysis).toMatchObject({ quality: { kind: "exact" }, identities: [nameOfHash(urlIdentity(a))] });
  });

  it("gives up names and images where one has no URL: the worker would ignore the list", async () => {
    const analysis = await analyseImages(request([a, undefined]), world({ [a]: png(28, 28) }), signal);
    expect(Array.from(analysis.routingTokens)).toEqual([1, 2]);
    expect(analysis).toMatchObject({ identities: undefined, ours: false, quality: { kind: "degraded", reason: "identity-ignored" } });
  });

  it("is sure of no name where the request has uuids, which win over names and which no event tells", async () => {
    const input = { ...request([a]), givenHashes: ["10ee6e61b387de3b"], hasUuids: true };
    const analysis = await analyseImages(input, world({ [a]: png(28, 28) }), signal);
    expect(analysis).toMatchObject({ ours: false, quality: { kind: "degraded", reason: "identity-ignored" } });
    const older = await analyseImages({ ...request([a], "oov-s1", "1.0.2"), hasUuids: true }, world({ [a]: png(28, 28) }), signal);
    expect(older.quality.kind).toBe("exact");
  });

  it("uses the frontend's count where no size can be had, and says so", async () => {
    const name = "10ee6e61b387de3b";
    const padded = padValue(BigInt(`0x${name}`) as MmHash);
    const frontendTokens = Uint32Array.of(1, 2, padded, padded, padded, 10, 3);
    const hinted = { ...request([a]), givenHashes: [name], frontendTokens };
    expect(await analyseImages(hinted, world({}), signal)).toMatchObject({
      routingTokens: frontendTokens,
      quality: { kind: "degraded", reason: "frontend-count" },
    });
    const own = await analyseImages(hinted, world({ [a]: png(28, 28) }), signal);
    expect([own.routingTokens.length, own.quality.kind]).toEqual([8, "exact"]);
  });

  it("does not believe a frontend's tokens that differ from the prompt", async () => {
    const name = "10ee6e61b387de3b";
    const padded = padValue(BigInt(`0x${name}`) as MmHash);
    const input = { ...request([a]), givenHashes: [name], frontendTokens: Uint32Array.of(1, 9, padded, 10, 3) };
    expect(await analyseImages(input, world({}), signal)).toMatchObject({ quality: { kind: "degraded", reason: "unreachable" } });
  });

  it("refuses an image that the processor cannot take for workers that exit on it, and for no others", async () => {
    const deps = () => world({ [a]: png(1, 300) });
    expect((await analyseImages(request([a], "pad", "1.5.1"), deps(), signal)).refusal).toMatchObject({ status: 400 });
    const newer = await analyseImages(request([a], "pad", "1.6.1"), deps(), signal);
    expect(newer).toMatchObject({ quality: { kind: "degraded", reason: "size-refused" } });
    expect(newer.refusal).toBeUndefined();
  });

  it("refuses a prompt that its images make too long for workers that exit on it, if all of them are counted", async () => {
    const input = { ...request([a, b], "pad", "1.4.2"), promptTokensMax: 20 };
    const whole = await analyseImages(input, world({ [a]: png(112, 84), [b]: png(112, 84) }), signal);
    expect(whole.refusal).toMatchObject({ code: "context_length_exceeded", status: 400 });
    expect((await analyseImages(input, world({ [a]: png(112, 84) }), signal)).refusal).toBeUndefined();
    expect(
      (await analyseImages({ ...input, worker: dialectOf("1.6.1") }, world({ [a]: png(112, 84), [b]: png(112, 84) }), signal)).refusal,
    ).toBeUndefined();
  });

  it("knows the size of data: URLs also where nothing of an image can match, since it may end the worker", async () => {
    const data = "data:image/png;base64,AAAA";
    const deps = world({ [data]: png(1, 300) });
    const analysis = await analyseImages(request([data, a], "none", "0.9.1"), deps, signal);
    expect(deps.asked).toEqual([{ url: data, need: "size" }]);
    expect(analysis).toMatchObject({ quality: { kind: "degraded", reason: "no-image-events" }, refusal: { status: 400 } });
    expect(Array.from(analysis.routingTokens)).toEqual([1, 2]);
  });

  it("is sure of nothing where the worker makes another prompt, but still knows what would end it", async () => {
    const data = "data:image/png;base64,AAAA";
    const rebuilt = { ...request([data, a], "none", "0.9.1"), isPromptRebuilt: true };
    const analysis = await analyseImages(rebuilt, world({ [data]: png(28, 28) }), signal);
    expect(analysis).toMatchObject({
      routingTokens: new Uint32Array(),
      ranges: [],
      quality: { kind: "fallback", reason: "prompt-rebuilt" },
    });
    expect((await analyseImages(rebuilt, world({ [data]: png(1, 300) }), signal)).refusal).toMatchObject({ status: 400 });
  });

  it("refuses more images than the limit before it looks at any", async () => {
    const deps = world({});
    const { refusal } = await analyseImages(request(new Array(9).fill(a)), deps, signal);
    expect(refusal).toMatchObject({ code: "too_many_images", status: 400, message: "the request has 9 images; the limit is 8" });
    expect(deps.asked).toEqual([]);
  });

  it("asks the address guard for workers that fetch from anywhere, and for no others", async () => {
    const guard = { refusalOf: async () => new AppError("image_forbidden", "inside", { status: 400 }) };
    for (const [release, dialect, isAsked] of [
      ["0.9.1", "none", true],
      ["1.0.2", "oov-s1", true],
      ["1.2.1", "oov-s1", false],
      ["1.6.1", "pad", false],
    ] as const) {
      const { refusal } = await analyseImages(request([a], dialect, release), world({ [a]: png(28, 28) }, { guard }), signal);
      expect([release, refusal?.status]).toEqual([release, isAsked ? 400 : undefined]);
    }
  });

  it("counts with the processor options of the request, and degrades on those it does not know", async () => {
    const small = { ...request([a]), processorOptions: { min_pixels: 784, max_pixels: 784 } };
    const known = await analyseImages(small, world({ [a]: png(112, 84) }), signal);
    expect([known.routingTokens.length, known.quality.kind]).toEqual([5, "exact"]);
    for (const processorOptions of [{ max_pixels: 784 }, { min_pixels: 784, max_pixels: 784, fps: 2 }, { do_resize: false }]) {
      const unknown = await analyseImages({ ...request([a]), processorOptions }, world({ [a]: png(112, 84) }), signal);
      expect(unknown).toMatchObject({ quality: { kind: "degraded", reason: "processor-options" } });
    }
  });

  it("looks at no image of a model whose images it cannot count", async () => {
    const deps = world({ [a]: png(28, 28) });
    const unknown = new ImageModel({ config: { model_type: "new_vl", image_token_id: pad, vocab_size: 1000 }, processor: {} });
    expect(await analyseImages({ ...request([a]), model: unknown }, deps, signal)).toMatchObject({
      routingTokens: Uint32Array.of(1, 2),
      quality: { kind: "degraded", reason: "unknown-family" },
    });
    const nameless = new ImageModel({ config: { model_type: "new_vl" }, processor: {} });
    expect(await analyseImages({ ...request([a]), model: nameless }, deps, signal)).toMatchObject({
      routingTokens: new Uint32Array(),
      quality: { kind: "fallback", reason: "unknown-family" },
    });
    expect(deps.asked).toEqual([]);
  });

  it("ends with the caller's reason when the caller leaves", async () => {
    const left = new Error("left");
    const loader = { load: async (_url: string, _need: ImageNeed, at: AbortSignal) => at.throwIfAborted() as never };
    await expect(analyseImages(request([a]), { ...world({}), loader }, AbortSignal.abort(left))).rejects.toBe(left);
  });
});
