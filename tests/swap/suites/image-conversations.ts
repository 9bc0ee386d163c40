// The claim that everything else rests on: for every block of a conversation with images, what our mm-router predicts is what a real
// worker publishes; and the next request of the conversation goes to the worker that holds it, which says so.
//
//   phase 1   all first requests, many at a time        predicted paths = published paths, both ways
//   phase 2   all second requests, one after the other  worker = holder, cached_tokens = predicted overlap
//
//   broken    our side wrong on purpose: one token   no such path is published: the claims above can fail
//             more, one hash, one dialect
//
// Which worker is which, and what it published, comes from the workers; digests and counts from Pillow, blake3 and transformers.
import { createHash } from "node:crypto";
import type { ExplainedKind } from "@mm-router/mm-router";
import { cluster, ensureEngine, type ImageServer, type ModelType, type Release, startImageServer, waitFor } from "@mm-router/testkit";
import { describeReal, describeRelease, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Conversation, conversations } from "../harness/conversations.ts";
import {
  blocksHeld,
  explain,
  generate,
  holdersOf,
  type ImageRequest,
  pathOf,
  picturesOf,
  type ProofStack,
  requestOf,
  textModelOf,
  usageOf,
} from "../harness/image-proof.ts";
import { dumpOfIndexer } from "../harness/index-view.ts";
import { connectTo } from "../harness/our-client.ts";
import { Predictor } from "../harness/predictor.ts";

export interface ConversationPlan {
  readonly release: Release;
  readonly modelType: ModelType;
  readonly blockSize: number;
  readonly count: number;
  /** Whether some pictures come from a web server. Default true. */
  readonly fromServer?: boolean;
  /** The model's processor needs a real torch, which the environment of the real engine has. */
  readonly needsTorch?: boolean;
}

/** Of families beside Qwen2-VL: the long form is 207. */
export const conversationsPerFamily = Number(process.env.MMR_TEST_CONVERSATIONS ?? 36);
const areAllFamiliesAsked = process.env.CI === "true" || process.env.MMR_TEST_CONVERSATIONS !== undefined;

/** Another family before workers of 1.6.1. The file's whole content, as `imageConversations`. */
export async function familyConversations(modelType: ModelType, { always = false } = {}): Promise<void> {
  if (always || areAllFamiliesAsked) {
    await imageConversations({ release: "1.6.1", modelType, blockSize: 32, count: conversationsPerFamily });
    return;
  }
  describe(`conversations with images, ${modelType}`, () => {
    it("are met", (context) => context.skip("one family stands for all; remedy: CI=true, or MMR_TEST_CONVERSATIONS=36"));
  });
}

/** Requests in flight in phase 1: enough that workers batch, few enough for 2 cores. */
const parallel = 16;

interface Asked {
  readonly conversation: Conversation;
  readonly request: ImageRequest;
  /** Block hashes that were predicted before the request was sent. */
  readonly predicted: readonly string[];
  readonly quality: string;
  readonly kind: ExplainedKind;
}

/** The file's whole content: await it at the top level. */
export async function imageConversations(plan: ConversationPlan): Promise<void> {
  const { release, modelType, count, needsTorch = false } = plan;
  const title = `${count} conversations with images, ${modelType}, Dynamo ${release}`;
  const describeMet = (body: () => void): Promise<void> =>
    needsTorch ? describeReal(title, real.engine, body) : describeRelease(title, release, body);
  await describeMet(() => {
    const started = new AsyncDisposableStack();
    let stack: ProofStack;
    let asked: readonly Asked[];
    let published: ReadonlyMap<bigint, ReadonlySet<string>>;

    beforeAll(async () => {
      stack = await startStack(plan, started);
      const server = plan.fromServer === false ? undefined : started.use(await startImageServer());
      asked = await phaseOne(stack, plan, server);
      published = await untilQuiet(stack);
    });
    afterAll(() => started.disposeAsync());

    it("are predicted exactly", () => {
      expect(asked.filter(({ quality }) => quality !== "exact").map(({ conversation }) => conversation.title)).toEqual([]);
      expect(asked.filter(({ predicted }) => predicted.length === 0)).toEqual([]);
    });

    it("publish every block that was predicted, each conversation on one worker", () => {
      const wrong = asked.filter(({ predicted }) => holdersOf(published, predicted).length !== 1);
      expect(wrong.map(({ conversation, predicted }) => `${conversation.title}: ${predicted.length} blocks`)).toEqual([]);
    });

    it("publish no block that was not predicted", () => {
      expect(unpredicted(published, asked)).toEqual([]);
    });

    it.each(["count", "hash", "dialect"] as const)("would be found out with one wrong %s", async (fault) => {
      await using predictor = await Predictor.of(stack.system.model, plan.blockSize);
      const sample = asked.toSorted((one, other) => one.conversation.number - other.conversation.number).slice(0, 45);
      const broken: string[][] = [];
      for (const { request, kind, predicted } of sample) {
        expect(await predictor.blockHashes(request, kind)).toEqual(predicted);
        broken.push(await predictor.blockHashes(request, kind, fault));
      }
      const different = broken.filter((hashes, n) => pathOf(hashes) !== pathOf(sample[n]!.predicted));
      // the rest has no whole block of an image, or no image that the fault meets
      expect(different.length).toBeGreaterThan(sample.length / 2);
      expect(different.filter((hashes) => holdersOf(published, hashes).length > 0)).toEqual([]);
    });

    it("go to the worker that holds them when they go on, and it says what it had", async () => {
      const wrong: string[] = [];
      for (const { conversation, predicted } of asked) {
        const request = await requestOf(conversation.second, stack.text, { names: namesOf(conversation, "second") });
        const { kinds, choice } = await explain(stack, request);
        const hashes = kinds[0]!.block_hashes;
        const holders = holdersOf(published, predicted);
        const usage = usageOf(await generate(stack, request));
        const overlap = blocksHeld(published.get(BigInt(choice!.worker_id)) ?? new Set(), hashes);
        const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
        const expected = Math.min(usage.prompt_tokens, overlap * plan.blockSize); // the worker caps it by the unexpanded prompt
        const right = holders.includes(BigInt(choice!.worker_id)) && overlap >= sharedBlocks(predicted, hashes) && cached === expected;
        if (!right)
          wrong.push(`${conversation.title}: ${choice!.worker_id} of ${holders.join(" ")}, ${cached} cached, ${expected} expected`);
      }
      expect(wrong).toEqual([]);
    });
  });
}

/** Every fifth conversation comes with names of its images, as a Dynamo frontend ≥ 1.4 gives them; any will do. */
function namesOf({ number, ...messages }: Conversation, which: "first" | "second" = "first"): string[] | undefined {
  if (number % 5 !== 0) return undefined;
  return picturesOf(messages[which]).map((url) => createHash("sha256").update(url).digest("hex").slice(0, 16));
}

async function startStack(
  { release, modelType, blockSize, needsTorch }: ConversationPlan,
  started: AsyncDisposableStack,
): Promise<ProofStack> {
  const engine = { SIM_BLOCKS: "65536", SIM_TOKEN_MS: "1", SIM_PREFILL_US: "1" };
  const pythonWithTorch = needsTorch ? await ensureEngine((line) => console.info(`testkit: ${line}`)) : undefined;
  const workers = { release, engine, args: ["--max-num-tokens", "32768"], pythonWithTorch };
  const system = started.use(await cluster({ requestPlane: "tcp", modelType, blockSize, workers, indexer: true, routers: 1 }));
  const runtime = await connectTo(system.place);
  started.defer(() => runtime.close());
  return { system, runtime, text: await textModelOf(system) };
}

async function phaseOne(stack: ProofStack, { count }: ConversationPlan, server: ImageServer | undefined): Promise<Asked[]> {
  const queue = conversations({ count, server }).values();
  const asked: Asked[] = [];
  const lane = async (): Promise<void> => {
    for (const conversation of queue) {
      const request = await requestOf(conversation.first, stack.text, { names: namesOf(conversation) });
      const { kinds } = await explain(stack, request);
      usageOf(await generate(stack, request));
      const kind = kinds[0]!;
      asked.push({ conversation, request, kind, predicted: kind.block_hashes, quality: kind.quality });
    }
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  return asked;
}

/** What the workers published, once nothing is added any more. */
async function untilQuiet({ system }: ProofStack): Promise<ReadonlyMap<bigint, ReadonlySet<string>>> {
  let before = -1;
  return waitFor({ what: "the index to stand still" }, async () => {
    const published = await dumpOfIndexer(system.indexer!.url);
    const blocks = [...published.values()].reduce((sum, paths) => sum + paths.size, 0);
    const isQuiet = blocks === before;
    before = blocks;
    return isQuiet ? published : undefined;
  });
}

/** Published paths that neither lead to a predicted one nor go on from it (generated tokens fill blocks too). */
function unpredicted(published: ReadonlyMap<bigint, ReadonlySet<string>>, asked: readonly Asked[]): string[] {
  const wholes = new Set(asked.map(({ predicted }) => pathOf(predicted)));
  const leading = new Set(asked.flatMap(({ predicted }) => predicted.map((_, at) => pathOf(predicted.slice(0, at + 1)))));
  const isKnown = (path: string): boolean => leading.has(path) || wholes.has(path.slice(0, path.lastIndexOf("/")));
  return [...published.values()].flatMap((paths) => [...paths].filter((path) => !isKnown(path)));
}

function sharedBlocks(a: readonly string[], b: readonly string[]): number {
  const firstOther = a.findIndex((hash, at) => hash !== b[at]);
  return firstOther < 0 ? a.length : firstOther;
}
