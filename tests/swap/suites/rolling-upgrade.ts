// Workers of 1.0.2 and of a newer release under one router, as during an upgrade: each request is predicted in the dialect of the worker
// that gets it, and a worker that comes new, while others go on asking, has its images back with the second request.
//
//   one request ─┬─ as 1.0 publishes it: vocab_size + 1, BLAKE3 of the pixels ─┐
//                └─ as ≥ 1.4 does: pads of the image's name                    ┴─► the worker that is chosen publishes its own
//
// And a router that expects another dialect of a worker than it uses: it learns it from the first image.
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ExplainedKind } from "@mm-router/mm-router";
import { dialectOf } from "@mm-router/protocol";
import {
  type Cluster,
  cluster,
  type DynamoWorker,
  internalModel,
  metricOf,
  publicModel,
  type Release,
  startDynamoWorker,
  startOurRouter,
  waitFor,
} from "@mm-router/testkit";
import { describeReleases } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Conversation, conversations } from "../harness/conversations.ts";
import {
  blocksHeld,
  explain,
  generate,
  holdersOf,
  type ImageRequest,
  pathOf,
  type ProofStack,
  requestOf,
  textModelOf,
  usageOf,
} from "../harness/image-proof.ts";
import { dumpOfIndexer } from "../harness/index-view.ts";
import { connectTo } from "../harness/our-client.ts";

const component = "backend";
const older = "1.0.2";
const count = 18; // each shape twice
/** Nothing is evicted. */
const engine = { SIM_BLOCKS: "65536" };

interface Asked {
  readonly conversation: Conversation;
  readonly kinds: readonly ExplainedKind[];
}

/** The file's whole content: await it at the top level. */
export async function rollingUpgrade(newer: Release, { learns = false } = {}): Promise<void> {
  const [oldLine, newLine] = [dialectOf(older).line, dialectOf(newer).line];
  await describeReleases(`an upgrade from ${older} to ${newer}`, [older, newer], () => {
    const started = new AsyncDisposableStack();
    let stack: ProofStack & { readonly system: Cluster };
    let asked: Asked[];

    const worker = async (release: Release): Promise<DynamoWorker> => {
      const { place, model } = stack.system;
      return started.use(await startDynamoWorker(place, { release, model, servedName: internalModel, component, engine }));
    };
    const published = (): Promise<ReadonlyMap<bigint, ReadonlySet<string>>> => dumpOfIndexer(stack.system.indexer!.url);
    const requestFor = (messages: Conversation["first"]): Promise<ImageRequest> => requestOf(messages, stack.text);

    /** Waits until the router sees workers of these releases. */
    async function untilSeen(...releases: string[]): Promise<void> {
      const request = await requestFor(conversations({ count: 1 })[0]!.first);
      await waitFor({ what: `workers of ${releases.join(" and ")}` }, async () => {
        const { kinds } = await explain(stack, request);
        const seen = kinds.flatMap((kind) => kind.workers.map(() => kind.releases[0]!));
        return seen.sort().join() === [...releases].sort().join() ? true : undefined;
      });
    }

    beforeAll(async () => {
      const workers = { release: older, count: 1, component, engine } as const;
      const system = started.use(await cluster({ requestPlane: "nats", modelType: "qwen2_5_vl", workers, indexer: true, routers: 1 }));
      const runtime = await connectTo(system.place);
      started.defer(() => runtime.close());
      stack = { system, runtime, text: await textModelOf(system) };
      await worker(newer);
      await untilSeen(oldLine, newLine);
    });
    afterAll(() => started.disposeAsync());

    it("has every block published as predicted for the worker that got it, in the dialect of its release", async () => {
      asked = [];
      for (const conversation of conversations({ count })) {
        const request = await requestFor(conversation.first);
        const { kinds } = await explain(stack, request);
        expect(kinds.map(({ releases, image_dialects: dialects, quality }) => `${releases[0]} ${dialects[0]} ${quality}`).sort()).toEqual([
          `${oldLine} oov-s1 exact`,
          `${newLine} pad exact`,
        ]);
        usageOf(await generate(stack, request));
        asked.push({ conversation, kinds });
      }
      const holders = await waitFor({ what: "every conversation in the index" }, async () => {
        const paths = await published();
        const found = asked.map(({ kinds }) => holderOf(kinds, paths));
        return found.every((holder) => holder !== undefined) ? found : undefined;
      });
      expect(new Set(holders).size).toBe(2); // both got some
    });

    it("sends what goes on to the worker that holds it, which had what was predicted", async () => {
      const paths = await published();
      for (const { conversation, kinds } of asked) {
        const request = await requestFor(conversation.second);
        const { choice, kinds: now } = await explain(stack, request);
        expect(choice?.worker_id).toBe(holderOf(kinds, paths));
        const overlap = blocksHeld(paths.get(BigInt(choice!.worker_id))!, kindOf(now, choice!.worker_id).block_hashes);
        const usage = usageOf(await generate(stack, request));
        // the worker caps it by the unexpanded prompt
        expect(usage.prompt_tokens_details?.cached_tokens ?? 0).toBe(Math.min(usage.prompt_tokens, overlap * 32));
      }
    });

    it("has image hits on a new worker with the second image request to it, and no wrong exactness, while others go on asking", async () => {
      const others = new AbortController();
      const load = askOnAndOn(stack, requestFor, others.signal);
      await stack.system.workers[0]![Symbol.asyncDispose]();
      const fresh = await worker(newer);
      await untilSeen(newLine, newLine);
      const [conversation] = conversations({ count: 1 });
      const request = { ...(await requestFor(conversation!.first)), routing: { backend_instance_id: fresh.instanceId } };
      expect(cachedTokens(await generate(stack, request))).toBe(0);
      const { block_hashes: hashes } = kindOf((await explain(stack, request)).kinds, `${fresh.instanceId}`);
      await waitFor({ what: "its blocks in the index" }, async () =>
        (await published()).get(fresh.instanceId)?.has(pathOf(hashes)) ? true : undefined,
      );
      expect(cachedTokens(await generate(stack, request))).toBeGreaterThan(0);
      others.abort();
      const told = await load;
      const sure = told.filter(({ isExact, mayBeGone }) => isExact && !mayBeGone);
      expect(told.filter(({ error, mayBeGone }) => error !== undefined && !mayBeGone)).toEqual([]);
      await waitFor({ what: "everything exact to be published as predicted" }, async () => {
        const paths = await published();
        // by whom does not matter: the fresh worker may have come between the two questions, and taken what was explained without it
        const isHeld = ({ block_hashes: hashes }: ExplainedKind) => holdersOf(paths, hashes).length > 0;
        return sure.every(({ kinds }) => kinds.some(isHeld)) ? true : undefined;
      });
      expect(sure.length).toBeGreaterThan(5);
      expect(await metricOf(stack.system.routers[0]!, "mm_router_image_predictions", { verdict: "different" })).toBe(0);
    });

    if (!learns) return;

    it("lets a router learn a worker's dialect from its first image", async () => {
      const { place } = stack.system;
      const options = {
        model: otherModelType(stack.system),
        servedName: publicModel,
        workers: component,
        component: "expecting",
        blockSize: 32,
      };
      const router = started.use(await startOurRouter(place, options));
      const unseen = conversations({ count: 600 }).slice(400).values(); // a verdict comes a second after its stream
      const next = (): Promise<ImageRequest> => requestFor(unseen.next().value!.first);
      const kindsOf = async (request: ImageRequest) => (await explain(stack, request, router, "expecting")).kinds;
      const dialects = (kinds: readonly ExplainedKind[]) => [...new Set(kinds.flatMap(({ image_dialects: of }) => of))].sort().join();
      const first = await next();
      await waitFor({ what: "the record of the worker that was replaced to go with its lease" }, async () =>
        dialects(await kindsOf(first)).includes("oov-s1") ? undefined : true,
      );
      expect(dialects(await kindsOf(first))).toBe("in-vocab");
      await waitFor({ what: "both workers to be known" }, async () => {
        const request = await next();
        usageOf(await generate(stack, request, router, "expecting"));
        return dialects(await kindsOf(request)) === "pad" ? true : undefined;
      });
      const request = await next();
      const kinds = await kindsOf(request);
      expect(kinds).toMatchObject([{ quality: "exact", image_dialects: ["pad"] }]);
      usageOf(await generate(stack, request, router, "expecting"));
      await waitFor({ what: "its blocks in the index" }, async () => holderOf(kinds, await published()));
    });
  });
}

/** What was said about a request of the load. */
interface Told {
  readonly kinds: readonly ExplainedKind[];
  readonly isExact: boolean;
  readonly error: string | undefined;
  /** A worker of the older release was there, which may have taken the request and its blocks along. */
  readonly mayBeGone: boolean;
}

/** Image requests one after the other until the signal; each is another conversation's. */
async function askOnAndOn(
  stack: ProofStack,
  requestFor: (messages: Conversation["first"]) => Promise<ImageRequest>,
  signal: AbortSignal,
): Promise<Told[]> {
  const told: Told[] = [];
  for (const { first } of conversations({ count: 400 }).slice(100)) {
    if (signal.aborted) break;
    const request = await requestFor(first);
    const { kinds, decision } = await explain(stack, request);
    const { error } = await generate(stack, request);
    const mayBeGone = kinds.some(({ image_dialects: dialects }) => dialects.includes("oov-s1"));
    told.push({ kinds, isExact: decision?.quality === "exact", error: error?.message, mayBeGone });
  }
  return told;
}

const kindOf = (kinds: readonly ExplainedKind[], workerId: string): ExplainedKind =>
  kinds.find(({ workers }) => workers.includes(workerId))!;

/** The worker that published all blocks as predicted for its own kind. */
function holderOf(kinds: readonly ExplainedKind[], paths: ReadonlyMap<bigint, ReadonlySet<string>>): string | undefined {
  const pairs = kinds.flatMap(({ workers, block_hashes: hashes }) => workers.map((id) => [id, pathOf(hashes)] as const));
  return pairs.find(([id, path]) => paths.get(BigInt(id))?.has(path))?.[0];
}

function cachedTokens(outcome: Parameters<typeof usageOf>[0]): number {
  return usageOf(outcome).prompt_tokens_details?.cached_tokens ?? 0;
}

/** The same files under a model type of the same arithmetic, of which publishers put no pads: what a router expects of its workers. */
function otherModelType({ model, place }: Cluster): string {
  const folder = mkdtempSync(join(place.directory, "model-"));
  cpSync(model, folder, { recursive: true });
  const path = join(folder, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8")) as object;
  writeFileSync(path, JSON.stringify({ ...config, model_type: "qwen3_vl_moe" }));
  return folder;
}
