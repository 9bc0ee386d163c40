// A kept decision as it is told (protocol, routing/decision.ts): who was weighed at what cost, and which image's blocks were there.
import type { ImageRange, RankDecision } from "@mm-router/kv";
import { type DecisionRecord, hex16Of } from "@mm-router/protocol";
import { explainedQuality, explainedRank } from "../explain.ts";
import type { KeptChoice, KeptDecision } from "./decision-ring.ts";

/** Ranks that are listed; of a larger fleet the cheapest. */
const candidatesMax = 32;

export function decisionRecord(kept: KeptDecision, blockSize: number): DecisionRecord {
  const { chosen } = kept;
  const listed = chosen === undefined ? [] : cheapest(chosen.decision.ranks, chosen.decision.chosen);
  return {
    request_id: kept.requestId,
    received_at: kept.receivedAt,
    prompt_tokens: kept.promptTokens,
    images: Array.from({ length: kept.images }, (_, n) => imageRecord(n, chosen, blockSize)),
    chosen: chosen === undefined ? null : chosenRecord(chosen, blockSize),
    candidates: listed.map(explainedRank),
    candidates_more: (chosen?.decision.ranks.length ?? 0) - listed.length,
    retries: kept.retries,
    first_token_ms: kept.firstTokenMs ?? null,
    cached_tokens: kept.cachedTokens ?? null,
    outcome: kept.outcome ?? null,
    error: kept.errorCode ?? null,
    duration_ms: kept.durationMs ?? null,
  };
}

function chosenRecord(chosen: KeptChoice, blockSize: number): NonNullable<DecisionRecord["chosen"]> {
  return {
    worker_id: `${chosen.worker.workerId}`,
    dp_rank: chosen.worker.dpRank,
    routing_tokens: chosen.routingTokens,
    blocks: chosen.blocks,
    block_size: blockSize,
    overlap_blocks: chosen.decision.chosen.overlapBlocks,
    available_blocks: chosen.availableBlocks,
    ...explainedQuality(chosen.quality),
    routing_ms: chosen.routingMs,
  };
}

/** An image is as far in the cache as the chosen rank's leading blocks reach into it. */
function imageRecord(n: number, chosen: KeptChoice | undefined, blockSize: number): DecisionRecord["images"][number] {
  const range = chosen?.imageRanges[n];
  if (chosen === undefined || range === undefined) return { name: null, tokens: null, blocks: 0, held_blocks: 0 };
  return { name: hex16Of(range.mmHash), tokens: [range.start, range.end], ...blocksOf(range, chosen, blockSize) };
}

function blocksOf(
  { start, end }: ImageRange,
  { blocks: all, decision }: KeptChoice,
  blockSize: number,
): { blocks: number; held_blocks: number } {
  const first = Math.floor(start / blockSize);
  const blocks = Math.max(0, Math.min(Math.ceil(end / blockSize), all) - first);
  return { blocks, held_blocks: Math.min(blocks, Math.max(0, decision.chosen.overlapBlocks - first)) };
}

function cheapest(ranks: readonly RankDecision[], chosen: RankDecision): readonly RankDecision[] {
  const byCost = ranks.toSorted((a, b) => a.cost - b.cost);
  const listed = byCost.slice(0, candidatesMax);
  return listed.includes(chosen) ? listed : [...listed.slice(0, -1), chosen];
}
