// The standalone indexer's questions, asked over HTTP: which ranks hold the leading blocks of these tokens, or of these hashes?
//
//   POST /query          {"token_ids":[…],"model_name" [,"routing_group","lora_name","cache_salt"]}
//   POST /query_by_hash  {"block_hashes":[i64, signed],"model_name" [,"routing_group"]}
//   200  {"scores":{"<worker>":{"<rank>":n}},"frequencies":[],"instances":{"<worker>":{"longest_matched":n,"gpu":n,"dp":{…},"cpu":n,"disk":n}}}
//   404  unknown model, or its block size is not known      400  cache_salt with hashes      422  a body of another form, as text
//
// Source: a real `dynamo.indexer` of 1.4.2 and 1.6.1, golden/kv/indexer-http.json.
// G1  n counts tokens, blocks × block size, where the request plane counts blocks.
import { blockHashes, type KvIndex } from "@mm-router/kv";
import { AppError, parseJson, toAppError, u64 } from "@mm-router/protocol";
import { z } from "zod";
import type { WorkerStatus } from "./http.ts";

export interface QueryDeps {
  readonly index: Pick<KvIndex, "findMatches">;
  readonly workers: () => readonly WorkerStatus[];
}

export interface QueryReply {
  readonly status: 200 | 400 | 404 | 422;
  /** JSON, or the text of a 422. */
  readonly body: unknown;
}

const group = "default";
const text = z.string().nullish();
const asked = { model_name: z.string(), routing_group: z.string().default(group), cache_salt: text };
const tokensQuery = z.object({ ...asked, token_ids: z.array(z.int().min(0).max(0xffff_ffff)), lora_name: text });
const signed = z
  .union([z.int(), z.bigint()])
  .transform(BigInt)
  .refine((value) => BigInt.asIntN(64, value) === value, "expected i64");
const hashesQuery = z.object({ ...asked, block_hashes: z.array(signed) });

export function queryTokens(deps: QueryDeps, body: Uint8Array): QueryReply {
  return answered(body, tokensQuery, ({ token_ids, lora_name, cache_salt, ...rest }) =>
    scores(deps, rest, (blockSize) =>
      blockHashes({
        tokens: Uint32Array.from(token_ids),
        blockSize,
        ...(lora_name && { loraName: lora_name }),
        ...(cache_salt && { cacheNamespace: cache_salt }),
      }),
    ),
  );
}

export function queryHashes(deps: QueryDeps, body: Uint8Array): QueryReply {
  return answered(body, hashesQuery, ({ block_hashes, cache_salt, ...rest }) => {
    if (cache_salt)
      return failure(400, "cache_salt is not accepted by /query_by_hash; block_hashes must already include the intended cache salt");
    return scores(deps, rest, () => BigUint64Array.from(block_hashes, (hash) => u64(BigInt.asUintN(64, hash), "block hash")));
  });
}

function answered<T>(body: Uint8Array, schema: z.ZodType<T>, answer: (query: T) => QueryReply): QueryReply {
  try {
    const parsed = schema.safeParse(parseJson(body));
    if (parsed.success) return answer(parsed.data);
    const [issue] = parsed.error.issues;
    return { status: 422, body: `Failed to deserialize the JSON body into the target type: ${issue?.path.join(".")}: ${issue?.message}` };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { status: 422, body: `Failed to parse the request body as JSON: ${toAppError(error).message}` };
  }
}

interface Asked {
  readonly model_name: string;
  readonly routing_group: string;
}

function scores(deps: QueryDeps, { model_name, routing_group }: Asked, hashesFor: (blockSize: number) => BigUint64Array): QueryReply {
  const serving = deps.workers().filter(({ models }) => routing_group === group && models.includes(model_name));
  const blockSize = serving.find((worker) => worker.blockSize !== undefined)?.blockSize;
  if (blockSize === undefined) return failure(404, `no indexer for model=${model_name} routing_group=${routing_group}`);
  // Blocks of another size have other hashes: such a worker can hold none of these.
  const ids = new Set(serving.filter((worker) => worker.blockSize === blockSize).map(({ workerId }) => workerId));
  const perWorker: Record<string, Record<string, number>> = {};
  for (const { worker, blocks } of deps.index.findMatches(hashesFor(blockSize))) {
    if (ids.has(worker.workerId)) (perWorker[`${worker.workerId}`] ??= {})[worker.dpRank] = blocks * blockSize;
  }
  const instances = Object.fromEntries(Object.entries(perWorker).map(([id, ranks]) => [id, instanceOf(ranks)]));
  return { status: 200, body: { scores: perWorker, frequencies: [], instances } };
}

/** One tier: whatever lies on the device can be had from the tiers below, says upstream's. */
function instanceOf(dp: Readonly<Record<string, number>>): object {
  const most = Math.max(...Object.values(dp));
  return { longest_matched: most, gpu: most, dp, cpu: most, disk: most };
}

function failure(status: 400 | 404, error: string): QueryReply {
  return { status, body: { error } };
}
