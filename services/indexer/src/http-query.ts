// The standalone indexer's questions, asked over HTTP: which ranks hold the leading blocks of these tokens, or of these hashes?
//
//   POST /query          {"token_ids":[…],"model_name" [,"routing_group","lora_name","cache_salt"]}
//   POST /query_by_hash  {"block_hashes":[i64, signed],"model_name" [,"routing_group"]}
//   200  {"scores":{"<worker>":{"<rank>":n}},"frequencies":[],"instances":{"<worker>":{"longest_matched":n,"gpu":n,"dp":{…},"cpu":n,"disk":n}}}
//   batch [{…},{…}] → {"answers":[one per query: what it would get alone],"staleness":{"log_lag_messages":n,"workers":{…}}}   (ours alone)
//   404  unknown model, or its block size is not known      400  cache_salt with hashes      422  a body of another form, as text
//
// Source: a real `dynamo.indexer` of 1.4.2 and 1.6.1, golden/kv/indexer-http.json.
// G1  n counts tokens, blocks × block size, where the request plane counts blocks.
// G2  A single answer is upstream's to the byte; how old it is stands in its headers (staleness.ts).
import { blockHashes, type KvIndex } from "@mm-router/kv";
import { AppError, INDEXER_BATCH_MAX, parseJson, toAppError, u64 } from "@mm-router/protocol";
import { z } from "zod";
import { stalenessHeaders, type StalenessDeps, stalenessOf } from "./staleness.ts";

export interface QueryDeps extends StalenessDeps {
  readonly index: Pick<KvIndex, "findMatches">;
}

export interface QueryReply {
  readonly status: 200 | 400 | 404 | 422;
  /** JSON, or the text of a 422. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
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
  return answered(deps, body, tokensQuery, ({ token_ids, lora_name, cache_salt, ...rest }) =>
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
  return answered(deps, body, hashesQuery, ({ block_hashes, cache_salt, ...rest }) => {
    if (cache_salt)
      return failure(400, "cache_salt is not accepted by /query_by_hash; block_hashes must already include the intended cache salt");
    return scores(deps, rest, () => BigUint64Array.from(block_hashes, (hash) => u64(BigInt.asUintN(64, hash), "block hash")));
  });
}

function answered<T>(deps: QueryDeps, body: Uint8Array, schema: z.ZodType<T>, answer: (query: T) => QueryReply): QueryReply {
  const batch = z.array(schema).min(1).max(INDEXER_BATCH_MAX);
  try {
    const value = parseJson(body);
    if (!Array.isArray(value)) return parsed(schema, value, (query) => ({ ...answer(query), headers: stalenessHeaders(deps) }));
    return parsed(batch, value, (queries) => {
      const answers = queries.map((query) => answer(query).body);
      return { status: 200, body: { answers, staleness: stalenessOf(deps) } };
    });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { status: 422, body: `Failed to parse the request body as JSON: ${toAppError(error).message}` };
  }
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, answer: (value: T) => QueryReply): QueryReply {
  const { success, data, error } = schema.safeParse(value);
  if (success) return answer(data);
  const [issue] = error.issues;
  return { status: 422, body: `Failed to deserialize the JSON body into the target type: ${issue?.path.join(".")}: ${issue?.message}` };
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
