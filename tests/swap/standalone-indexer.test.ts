// Dynamo's own standalone indexer beside ours: the same events, each in the form that it reads, and the same questions over HTTP.
//
//   a random history ─┬─ engine events over ZMQ ───────▶ python -m dynamo.indexer ─┐
//                     └─ the workers' events over NATS ─▶ our indexer ─────────────┴─▶ /query, /query_by_hash, /dump: equal
import { join } from "node:path";
import { blockHashes } from "@mm-router/kv";
import {
  type BlockHash,
  cardKey,
  decodeModelCard,
  dialectOf,
  encodeCardEntry,
  encodeEventPayloads,
  encodeInstance,
  eventSubject,
  type ExternalHash,
  type InstanceId,
  instanceKey,
  type KvEventData,
  parseJson,
  routerEventFor,
} from "@mm-router/protocol";
import { EventPublisher, freePort, randomPublisherId } from "@mm-router/runtime";
import { type Release, startPython, waitFor } from "@mm-router/testkit";
import { golden } from "@mm-router/testkit/golden";
import { describeProof } from "@mm-router/testkit/requires";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { withFurther } from "./harness/further-cells.ts";
import { type IndexStack, type StackIndexer, startIndexStack } from "./harness/index-stack.ts";
import { dumpOfIndexer } from "./harness/index-view.ts";
import { type LineCall, lineCallsTo } from "./harness/line-calls.ts";

const blockSize = 4;
const model = "m";
const component = "backend";
const ranks = [1n, 2n, 3n].flatMap((worker) => [0, 1].map((dpRank) => ({ worker: worker as InstanceId, dpRank })));

type Rank = (typeof ranks)[number];

/** One block is one digit of a path; its tokens say the digit, its engine hash the whole path. */
const tokensOf = (path: readonly number[]): number[] =>
  path.flatMap((digit) => [10 * digit, 10 * digit + 1, 10 * digit + 2, 10 * digit + 3]);

function engineHash(path: readonly number[]): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const digit of path) hash = BigInt.asUintN(64, (hash ^ BigInt(digit)) * 0x100000001b3n);
  return BigInt.asUintN(63, hash); // engines have signed ones
}

/** Blocks of a path from the `known` ones on; the last one of a path; everything of the rank. */
type Change =
  | { readonly kind: "store"; readonly path: readonly number[]; readonly known: number }
  | { readonly kind: "remove"; readonly path: readonly number[] }
  | { readonly kind: "clear" };

const hashesOf = (path: readonly number[]): bigint[] => path.map((_, depth) => engineHash(path.slice(0, depth + 1)));

/** As vLLM's ZMQ publisher says it; hashes as text, since the way to the script is JSON. */
function engineEventOf(change: Change): unknown[] {
  if (change.kind === "clear") return ["AllBlocksCleared"];
  const texts = hashesOf(change.path).map(String);
  if (change.kind === "remove") return ["BlockRemoved", texts.slice(-1)];
  const { path, known } = change;
  return ["BlockStored", texts.slice(known), texts[known - 1] ?? null, tokensOf(path.slice(known)), blockSize, null];
}

function eventDataOf(change: Change): KvEventData {
  if (change.kind === "clear") return "cleared";
  const hashes = hashesOf(change.path) as ExternalHash[];
  if (change.kind === "remove") return { removed: { block_hashes: hashes.slice(-1) } };
  const { path, known } = change;
  const names = blockHashes({ tokens: Uint32Array.from(tokensOf(path.slice(known))), blockSize });
  const blocks = hashes.slice(known).map((hash, n) => ({ block_hash: hash, tokens_hash: names[n] as BlockHash }));
  return { stored: { parent_hash: hashes[known - 1] ?? null, blocks } };
}

const path = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 12 });
const move = fc.record({
  rank: fc.nat(ranks.length - 1),
  path,
  kind: fc.constantFrom("store", "store", "store", "remove", "remove", "clear"),
});

for (const release of withFurther<Release>(["1.6.1"], ["1.4.2"])) {
  await describeProof(`a standalone indexer of ${release} beside ours`, release, () => {
    let stack: IndexStack;
    let ours: StackIndexer;
    let url: string;
    let engines: LineCall;
    const workers = new Map<string, Publisher>();
    const started = new AsyncDisposableStack();

    beforeAll(async () => {
      stack = started.use(await startIndexStack({ release, requestPlane: "nats", eventPlane: "nats" }));
      for (const worker of new Set(ranks.map((rank) => rank.worker))) await register(worker);
      ours = await stack.indexer(component, {}, blockSize);
      const nats = await stack.runtime.nats();
      for (const rank of ranks)
        workers.set(
          keyOf(rank),
          publisherOf(rank, (subject, bytes) => nats.publish(subject, bytes)),
        );
      await startTheirs();
      for (const rank of ranks) await meet(rank);
    });
    afterAll(() => started.disposeAsync());

    async function startTheirs(): Promise<void> {
      const port = await freePort();
      url = `http://127.0.0.1:${port}`;
      const theirs = started.use(
        await startPython(stack.place, { name: "dynamo.indexer", release, args: ["-m", "dynamo.indexer", "--port", `${port}`] }),
      );
      await waitFor({ what: "dynamo.indexer", child: theirs.child }, async () => (await fetch(`${url}/health`)).ok || undefined);
      const socket = join(stack.place.directory, "engines.sock");
      const script = join(import.meta.dirname, "python/engine_publisher.py");
      const engine = started.use(await startPython(stack.place, { name: "engines", release, args: [script, socket] }));
      engines = await lineCallsTo(socket, engine);
    }

    /** A worker as records alone: nobody asks it anything. */
    async function register(instanceId: InstanceId): Promise<void> {
      const address = { namespace: stack.place.namespace, component, endpoint: "generate" };
      const { discovery } = stack.runtime;
      const transport = { kind: "nats", subject: "nobody" } as const;
      await discovery.register(() => ({
        key: instanceKey(address, instanceId),
        value: encodeInstance({ address, instanceId, transport }),
      }));
      const base = golden<{ base: object }>("wire/card-acceptance.json").base;
      const card = decodeModelCard({
        ...base,
        display_name: model,
        kv_cache_block_size: blockSize,
        runtime_config: { structural_tag: {} },
      });
      await discovery.register(() => ({ key: cardKey(address, instanceId), value: encodeCardEntry({ address, instanceId, card }) }));
    }

    /** Tells both of a block that the rank has for good, until both know the rank: who dials a publisher misses what was said before. */
    async function meet(rank: Rank): Promise<void> {
      const endpoint = await engines("bind", { name: keyOf(rank) });
      const body = { instance_id: Number(rank.worker), dp_rank: rank.dpRank, endpoint, model_name: model, block_size: blockSize };
      expect((await post(url, "/register", body)).status).toBe(201);
      await tell(rank, { kind: "store", path: [9], known: 0 });
      await waitFor({ what: `dynamo.indexer to hear ${keyOf(rank)}` }, async () => {
        await tell(rank, { kind: "store", path: [9], known: 0 }, { toOurs: false });
        return (await holds(url, rank, 9)) || undefined;
      });
    }

    async function holds(at: string, { worker, dpRank }: Rank, digit: number): Promise<boolean> {
      const { body: answer } = await post(at, "/query", { token_ids: tokensOf([digit]), model_name: model });
      return (answer as Answer).scores[`${worker}`]?.[`${dpRank}`] === blockSize;
    }

    /** Each rank stores a block that no history has: who knows it has heard all that the rank said before. */
    async function untilBothHeardAll(): Promise<void> {
      for (const rank of ranks) await tell(rank, { kind: "store", path: [8], known: 0 });
      for (const rank of ranks)
        for (const at of [url, ours.url]) {
          await waitFor({ what: `${at} to hear the last of ${keyOf(rank)}` }, async () => (await holds(at, rank, 8)) || undefined);
        }
    }

    async function tell(rank: Rank, change: Change, { toOurs = true } = {}): Promise<void> {
      await engines("publish", { name: keyOf(rank), rank: rank.dpRank, events: [engineEventOf(change)] });
      if (toOurs) workers.get(keyOf(rank))!.publish(eventDataOf(change));
    }

    /** A history in an engine's order: parents first, leaves first gone. */
    async function play(): Promise<number[][]> {
      const held = new Map<Rank, Map<string, readonly number[]>>(ranks.map((rank) => [rank, new Map([["9", [9]]])]));
      const asked: number[][] = [];
      for (const { rank: index, path: to, kind } of fc.sample(move, { numRuns: 200, seed: 7 })) {
        const rank = ranks[index]!;
        const paths = held.get(rank)!;
        asked.push([...to, 2]);
        if (kind === "clear") {
          if (to.length > 1) continue; // now and then
          paths.clear();
          await tell(rank, { kind });
        } else if (kind === "remove") {
          const leaf = [...paths.values()].sort((a, b) => b.length - a.length)[0];
          if (leaf === undefined) continue;
          paths.delete(leaf.join(""));
          await tell(rank, { kind, path: leaf });
        } else {
          const known = to.findIndex((_, depth) => !paths.has(to.slice(0, depth + 1).join("")));
          if (known === -1) continue;
          to.forEach((_, depth) => paths.set(to.slice(0, depth + 1).join(""), to.slice(0, depth + 1)));
          await tell(rank, { kind, path: to, known });
        }
      }
      return asked;
    }

    it("answers as ours: tokens, hashes, an unknown model, and what both hold", async () => {
      const asked = await play();
      await untilBothHeardAll();
      const answers = async (at: string): Promise<Answer[]> => {
        const all: Answer[] = [];
        for (const to of asked) all.push((await post(at, "/query", { token_ids: [...tokensOf(to), 7], model_name: model })).body as Answer);
        return all;
      };
      const theirs = await answers(url);
      expect(await answers(ours.url)).toEqual(theirs);
      expect(theirs.filter(({ scores }) => Object.keys(scores).length > 1).length).toBeGreaterThan(50);
      for (const to of asked.slice(0, 50)) {
        const hashes = Array.from(blockHashes({ tokens: Uint32Array.from(tokensOf(to)), blockSize }), (hash) => BigInt.asIntN(64, hash));
        const body = `{"block_hashes":[${hashes.join(",")}],"model_name":"${model}"}`;
        expect(await post(ours.url, "/query_by_hash", body)).toEqual(await post(url, "/query_by_hash", body));
      }
      for (const body of [
        { token_ids: [1], model_name: "other" },
        { token_ids: [], model_name: model },
      ])
        expect(await post(ours.url, "/query", body)).toEqual(await post(url, "/query", body));
      expect(await dumpOfIndexer(ours.url)).toEqual(await dumpOfIndexer(url));
    });
  });
}

interface Answer {
  readonly scores: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

interface Publisher {
  publish(data: KvEventData): void;
}

const keyOf = ({ worker, dpRank }: Rank): string => `${worker}:${dpRank}`;

/** What a worker of 1.6 publishes for one rank. */
function publisherOf({ worker, dpRank }: Rank, publish: (subject: string, bytes: Uint8Array) => void): Publisher {
  const dialect = dialectOf("1.6.1");
  const scope = { namespace: "index", component, endpoint: "generate" };
  const subject = eventSubject(dialect.eventNaming, scope, "kv-events");
  const publisher = new EventPublisher({ publish }, { subject, topic: "kv-events", publisherId: randomPublisherId() });
  let eventId = 1n;
  return {
    publish(data) {
      const event = routerEventFor(dialect, { workerId: worker, dpRank }, eventId++, data);
      for (const payload of encodeEventPayloads(dialect, [event])) publisher.publish(payload);
    },
  };
}

async function post(url: string, route: string, body: object | string): Promise<{ status: number; body: unknown }> {
  const init = { method: "POST", headers: { "content-type": "application/json" } };
  const answer = await fetch(`${url}${route}`, { ...init, body: typeof body === "string" ? body : JSON.stringify(body) });
  return { status: answer.status, body: parseJson(await answer.text()) };
}
