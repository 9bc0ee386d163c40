// When a worker has so much to do that it gets nothing more: upstream's three thresholds, all unset by default.
//
//   blocks in use   > share × the engine's blocks      ─┐
//   prefill tokens  > a number                          ├─ any of them, on every rank ──▶ busy
//   prefill tokens  > share × the engine's batch       ─┘
//
// Source: kv.md §9.3. What runs is what this router and its replicas have booked. A share of what a card does not tell is no limit.
import type { RankLoad } from "@mm-router/kv";
import type { WorkerKey } from "@mm-router/protocol";
import type { Worker } from "../workers/worker.ts";

export interface BusyThresholds {
  /** Of the engine's blocks, 0 … 1. */
  readonly decodeBlocksShare?: number | undefined;
  readonly prefillTokens?: number | undefined;
  /** Of the tokens of the engine's batch. */
  readonly prefillShare?: number | undefined;
}

/** Answers for one worker at a time; undefined when no threshold is set. */
export function busyWorkers(thresholds: BusyThresholds, load: (rank: WorkerKey) => RankLoad): ((worker: Worker) => boolean) | undefined {
  const { decodeBlocksShare, prefillTokens, prefillShare } = thresholds;
  if (decodeBlocksShare === undefined && prefillTokens === undefined && prefillShare === undefined) return undefined;
  return ({ ranks, kvBlocks, batchTokensMax }) => {
    const blocksMax = shareOf(kvBlocks, decodeBlocksShare);
    const tokensMax = Math.min(prefillTokens ?? Number.POSITIVE_INFINITY, shareOf(batchTokensMax, prefillShare));
    return ranks.every((rank) => {
      const { activeDecodeBlocks, activePrefillTokens } = load(rank);
      return activeDecodeBlocks > blocksMax || activePrefillTokens > tokensMax;
    });
  };
}

function shareOf(whole: number | undefined, share: number | undefined): number {
  return whole === undefined || share === undefined ? Number.POSITIVE_INFINITY : whole * share;
}
