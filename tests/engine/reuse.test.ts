// The whole claim against an engine that computes: what our mm-router predicts is what the engine publishes, and what our router says that a
// worker holds is what the engine says it reused. Request by request, with text and with images, while both caches evict.
//
//   before   explain ─► block hashes      after   router's log line ─► worker, overlap      engine's usage ─► prompt and cached tokens
//                                                                      index, settled       ─► blocks published
//
//   reuse = min(overlap, blocks before the last token) × block size: an engine computes the last token always
//
//   MMR_ENGINE_CONVERSATIONS=300 npm run test:engine      the long form: 300 with text, 300 with images; 12 and 12 otherwise
import { type OurService, publicModel, startImageServer, waitFor } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { xxh3 } from "@mm-router/kv";
import type { ExplainedKind } from "@mm-router/mm-router";
import { hex16Of } from "@mm-router/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ChatAnswer, converse } from "../swap/harness/chat.ts";
import { blocksHeld, explain, type ImageRequest, pathOf, picturesOf, requestOf } from "../swap/harness/image-proof.ts";
import { type Fault, Predictor } from "../swap/harness/predictor.ts";
import { turns, type Turn } from "./harness/dialogues.ts";
import { blockSize, type EngineStack, type Published, startEngineStack } from "./harness/engine-stack.ts";

const conversations = Number(process.env.MMR_ENGINE_CONVERSATIONS ?? 12);
const faults = ["count", "hash", "dialect"] as const;
/** Predictions that are made wrong on purpose. */
const brokenMax = 30;
/** A told sum now and then: the long form takes most of an hour on a busy machine. */
const requestsPerLine = 100;
const longestMs = 7_200_000;

/** What was said about one request, and by whom. */
interface Said {
  readonly title: string;
  readonly hasImages: boolean;
  readonly quality: string;
  /** Our router: tokens with images expanded, and blocks that the chosen worker holds of them. */
  readonly tokens: number;
  readonly overlap: number;
  /** Our index, a moment before: the same for the chosen worker, and the most that any holds. */
  readonly held: number;
  readonly heldAtMost: number;
  /** The engine. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  /** Predicted blocks that the worker did not publish, and published ones that nobody predicted. */
  readonly unpublished: number;
  readonly unpredicted: readonly string[];
  readonly evicted: number;
}

/** Of the router's "request done". */
interface Told {
  readonly request_id: string;
  readonly instance_id: string;
  readonly overlap_blocks: number;
  readonly isl_tokens: number;
  readonly quality: string;
  readonly outcome: string;
}

await describeReal(`${conversations} conversations with text and ${conversations} with images before a real engine`, real.engine, () => {
  const started = new AsyncDisposableStack();
  const said: Said[] = [];
  const broken: (boolean | undefined)[] = [];

  beforeAll(async () => {
    const server = started.use(await startImageServer());
    const stack = await startEngineStack(started);
    const predictor = started.use(await Predictor.of(stack.system.model, blockSize));
    const known: Known = { leading: new Set(), whole: new Set(), probes: stack.probes };
    let before: Published = new Map();
    for (const turn of turns({ text: conversations, images: conversations, server })) {
      const asked = await ask(stack, turn);
      remember(known, asked.kind.block_hashes);
      said.push(saidOf(asked, before, known));
      before = asked.published;
      if (said.length % requestsPerLine === 0) summarize(said);
      if (!hasImages(turn) || broken.length >= brokenMax) continue;
      for (const fault of faults) broken.push(await isFoundOut(asked, predictor, fault));
    }
    summarize(said);
  }, longestMs);
  afterAll(() => started.disposeAsync());

  const wrong = (isWrong: (one: Said) => boolean): Said[] => said.filter(isWrong);

  it("are predicted exactly, token for token as many as the engine counts", () => {
    expect(said.length).toBeGreaterThanOrEqual(2 * 3 * conversations);
    expect(wrong(({ quality }) => quality !== "exact")).toEqual([]);
    expect(wrong(({ tokens, promptTokens }) => tokens !== promptTokens)).toEqual([]);
  });

  it("publish every block that was predicted, and no other", () => {
    expect(wrong(({ unpublished }) => unpublished !== 0)).toEqual([]);
    expect(wrong(({ unpredicted }) => unpredicted.length > 0)).toEqual([]);
  });

  it("reuse what our router said, to the token", () => {
    expect(wrong(({ overlap, held }) => overlap !== held)).toEqual([]);
    expect(wrong(({ cachedTokens, overlap, promptTokens }) => cachedTokens !== reusable(overlap, promptTokens))).toEqual([]);
  });

  it("go where most of them is, while blocks are evicted", () => {
    expect(sum(said, ({ evicted }) => evicted)).toBeGreaterThan(conversations);
    const possible = sum(said, ({ heldAtMost, promptTokens }) => reusable(heldAtMost, promptTokens));
    expect(sum(said, ({ cachedTokens }) => cachedTokens)).toBeGreaterThanOrEqual(0.95 * possible);
  });

  it("would be found out with a wrong count, hash or dialect", () => {
    expect(broken.filter((isFound) => isFound === true).length).toBeGreaterThan(brokenMax / 2);
    expect(broken).not.toContain(false);
  });
});

const isOfRealFrontend = ({ number }: Turn): boolean => number % 2 === 0;
const hasImages = ({ messages }: Turn): boolean => picturesOf(messages).length > 0;

/**
 * As the real frontend names pictures that it need not fetch. Ours leaves it to the router, and so does the real one where a picture's server
 * knows no `Range`.
 */
function namesOf(turn: Turn): string[] | undefined {
  const urls = picturesOf(turn.messages);
  if (!isOfRealFrontend(turn) || urls.length === 0 || urls.some((url) => !url.startsWith("data:"))) return undefined;
  return urls.map((url) => hex16Of(xxh3(Buffer.from(url), 0n)));
}

/** A turn that was asked: what our router predicted before, what it told afterwards, what the worker holds then. */
interface Asked {
  readonly turn: Turn;
  readonly request: ImageRequest;
  readonly kind: ExplainedKind;
  readonly usage: ChatAnswer["usage"];
  readonly told: Told;
  readonly worker: bigint;
  readonly published: Published;
}

async function ask(stack: EngineStack, turn: Turn): Promise<Asked> {
  const { frontends, routers } = stack.system;
  const [real, ours] = frontends;
  const request = await requestOf(turn.messages, stack.text, { names: namesOf(turn) });
  const { kinds } = await explain(stack, request);
  const last = lastTold(routers[0]!)?.request_id;
  const { usage } = await converse((isOfRealFrontend(turn) ? real : ours)!.url, publicModel, turn.messages, { maxTokens: 4 });
  const told = await waitFor({ what: "the router's log line" }, async () => {
    const line = lastTold(routers[0]!);
    return line?.request_id === last ? undefined : line;
  });
  const worker = BigInt(`0x${told.instance_id}`);
  return { turn, request, kind: kinds[0]!, usage, told, worker, published: await stack.settle(worker) };
}

/** Paths of what was asked: those that lead to a block of a prompt, those of all its blocks, and those of the probes. */
interface Known {
  readonly leading: Set<string>;
  readonly whole: Set<string>;
  readonly probes: ReadonlySet<string>;
}

function remember({ leading, whole }: Known, hashes: readonly string[]): void {
  for (const at of hashes.keys()) leading.add(pathOf(hashes.slice(0, at + 1)));
  whole.add(pathOf(hashes));
}

/** Of a prompt, or the block that its generated tokens filled. */
const isKnown = ({ leading, whole, probes }: Known, path: string): boolean =>
  leading.has(path) || probes.has(path) || whole.has(path.slice(0, path.lastIndexOf("/")));

/** @param known this request's included */
function saidOf({ turn, kind, usage, told, worker, published }: Asked, before: Published, known: Known): Said {
  const paths = published.get(worker)!;
  const hashes = kind.block_hashes;
  const heldBy = new Map([...before].map(([id, held]) => [id, blocksHeld(held, hashes)]));
  return {
    title: turn.title,
    hasImages: hasImages(turn),
    quality: told.quality === kind.quality ? kind.quality : `${kind.quality}, then ${told.quality}`,
    tokens: told.isl_tokens,
    overlap: told.overlap_blocks,
    held: heldBy.get(worker) ?? 0,
    heldAtMost: Math.max(0, ...heldBy.values()),
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    unpublished: hashes.length - blocksHeld(paths, hashes),
    unpredicted: [...paths].filter((path) => !isKnown(known, path)),
    evicted: [...(before.get(worker) ?? [])].filter((path) => !paths.has(path)).length,
  };
}

/** Whether the worker lacks what a wrong prediction expects; undefined where the fault changes nothing in this request. */
async function isFoundOut({ request, kind, worker, published }: Asked, predictor: Predictor, fault: Fault): Promise<boolean | undefined> {
  const path = pathOf(await predictor.blockHashes(request, kind, fault));
  return path === pathOf(kind.block_hashes) ? undefined : !published.get(worker)!.has(path);
}

function lastTold({ child }: OurService): Told | undefined {
  const line = child.lastLines().findLast((each) => each.includes('"request done"'));
  return line === undefined ? undefined : (JSON.parse(line) as Told);
}

const reusable = (overlapBlocks: number, promptTokens: number): number =>
  Math.min(overlapBlocks, Math.floor((promptTokens - 1) / blockSize)) * blockSize;

const sum = (all: readonly Said[], of: (one: Said) => number): number => all.reduce((total, one) => total + of(one), 0);

function summarize(said: readonly Said[]): void {
  const withImages = said.filter(({ hasImages }) => hasImages).length;
  const published = said.filter(({ unpublished, unpredicted }) => unpublished === 0 && unpredicted.length === 0).length;
  const asSaid = said.filter(({ cachedTokens, overlap, promptTokens }) => cachedTokens === reusable(overlap, promptTokens)).length;
  const cached = sum(said, ({ cachedTokens }) => cachedTokens);
  const possible = sum(said, ({ heldAtMost, promptTokens }) => reusable(heldAtMost, promptTokens));
  const evicted = sum(said, (one) => one.evicted);
  console.info(
    `engine: ${said.length} requests, ${withImages} with images; ${published} published as predicted, ${asSaid} reused as said; ` +
      `${cached} of ${possible} tokens reused, ${evicted} blocks evicted`,
  );
}
