// Overlap: how many leading blocks of a request each rank already holds.
import type { WorkerKey } from "@mm-router/protocol";
import { RankMap } from "./rank-map.ts";

export interface OverlapScore {
  readonly worker: WorkerKey;
  /** Leading blocks held without a hole, ≥ 1. */
  readonly blocks: number;
}

/** One entry per rank that holds the first block, in no particular order; ranks without overlap are absent. */
export type OverlapScores = readonly OverlapScore[];

/** Answers for one rank at a time; 0 for ranks that are absent. */
export function overlapOf(scores: OverlapScores): (worker: WorkerKey) => number {
  const blocks = new RankMap<number>();
  for (const score of scores) blocks.set(score.worker, score.blocks);
  return (worker) => blocks.get(worker) ?? 0;
}
