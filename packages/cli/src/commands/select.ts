// `mmr select`: what each worker would cost, and the choice.
//
//   {"release"?,"config":{…},"isl_tokens":n,"block_size":n,"new_decode_blocks"?,"seed"?,
//    "workers":[{"worker_id","dp_rank","overlap_blocks","prefill_tokens","decode_blocks","active_requests"?,"new_decode_blocks"?}]}
//   →  {"worker_id","dp_rank","costs":[[worker_id, dp_rank, cost],…],"ties":[[worker_id, dp_rank],…]}
//
// `config` has the names of upstream's KvRouterConfig; members that do not act on the choice are ignored. The cost is one formula for all
// releases (packages/kv/src/worker-cost.ts). Of several cheapest the first is given; with a temperature the seed decides.
import { cheapest, choiceTerms, drawByTemperature, rankCosts } from "@mm-router/kv";
import { AppError, decodeAs, dialectOf, u64 } from "@mm-router/protocol";
import { z } from "zod";
import type { LineCommand } from "../jsonl.ts";

export const name = "select";

const count = z.number().min(0);
const weight = z.number().nullish();
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? undefined);
const plainWeight = weight.transform((value) => value ?? undefined);

const worker = z.looseObject({
  worker_id: z.unknown().transform((value) => u64(value, "worker_id")),
  dp_rank: z.int().min(0).max(0xffff_ffff).default(0),
  overlap_blocks: count,
  prefill_tokens: count,
  decode_blocks: count,
  active_requests: count.default(0),
  new_decode_blocks: count.optional(),
});

const config = z.looseObject({
  overlap_score_weight: weight,
  overlap_score_credit: plainWeight,
  overlap_score_credit_decay: plainWeight,
  prefill_load_scale: plainWeight,
  decode_active_request_weight: plainWeight,
  router_temperature: plainWeight,
  router_track_active_blocks: flag,
  router_track_prefill_tokens: flag,
  router_assume_kv_reuse: flag,
});

export const schema = z.looseObject({
  release: z.string().optional(),
  config: config.nullish(),
  isl_tokens: count,
  block_size: z.int().min(1),
  workers: z.array(worker),
  new_decode_blocks: count.optional(),
  seed: z.union([z.int(), z.bigint()]).default(0),
});

export function createCommand(options: { readonly release?: string } = {}): LineCommand {
  return (json) => {
    const line = decodeAs(schema, json, "select");
    dialectOf(line.release ?? options.release ?? "1.6"); // an unknown release is an error
    if (line.workers.length === 0) throw new AppError("no_instances", "there are no workers to choose from");
    const terms = choiceTerms(line.config ?? {});
    const costs = rankCosts(situationsOf(line), line.isl_tokens, line.block_size, terms);
    const ties = cheapest(costs);
    const chosen = terms.temperature > 0 ? drawByTemperature(costs, terms.temperature, randomOf(line.seed)) : ties[0]!;
    const named = (index: number): [string, number] => [`${line.workers[index]!.worker_id}`, line.workers[index]!.dp_rank];
    const [worker_id, dp_rank] = named(chosen);
    return { worker_id, dp_rank, costs: costs.map((cost, index) => [...named(index), cost]), ties: ties.map(named) };
  };
}

function situationsOf({ workers, new_decode_blocks, isl_tokens, block_size }: z.infer<typeof schema>) {
  return workers.map((worker) => ({
    overlapBlocks: worker.overlap_blocks,
    activePrefillTokens: worker.prefill_tokens,
    activeDecodeBlocks: worker.decode_blocks,
    activeRequests: worker.active_requests,
    newDecodeBlocks: worker.new_decode_blocks ?? new_decode_blocks ?? Math.floor(isl_tokens / block_size),
  }));
}

/** Uniform numbers that a seed repeats (mulberry32). */
function randomOf(seed: number | bigint): () => number {
  let state = Number(BigInt.asUintN(32, BigInt(seed)));
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
