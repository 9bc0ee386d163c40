// What it costs to give a request to a rank; lower is better.
//
//   raw      = (active prefill tokens + isl) / block size                            before any overlap is subtracted
//   decay    = 1 / (1 + k · ((active prefill tokens − least of all ranks) / block size) / ceil(isl / block size))
//   credit   = overlap credit · decay · overlap blocks
//   cost     = prefill scale · max(0, raw − credit) + decode blocks + request weight · active requests
//   cost     =          max(0, decode blocks − credit)              + request weight · active requests       without prefill tracking
//
// decode blocks: active ones and the new ones that the request adds. k = 0 and credit = 1 give the formula of 0.9 and 1.0:
// W · potential prefill tokens / block size + potential decode blocks. So one formula serves all releases.
// Source: kv.md §8.1; vectors: kv/selector.json.
import type { ChoiceTerms } from "./router-config.ts";

/** What runs on a rank now, the new request not counted. */
export interface RankLoad {
  readonly activePrefillTokens: number;
  readonly activeDecodeBlocks: number;
  readonly activeRequests: number;
}

export interface RankSituation extends RankLoad {
  readonly overlapBlocks: number;
  /** Blocks that the request adds to the active ones on this rank. */
  readonly newDecodeBlocks: number;
}

/** One cost per rank, in blocks. */
export function rankCosts(ranks: readonly RankSituation[], islTokens: number, blockSize: number, terms: ChoiceTerms): number[] {
  const leastPrefill = Math.min(...ranks.map((rank) => rank.activePrefillTokens));
  return ranks.map((rank) => {
    const credit = terms.overlapCredit * decay(rank.activePrefillTokens - leastPrefill, islTokens, blockSize, terms) * rank.overlapBlocks;
    const decode = terms.trackActiveBlocks ? rank.activeDecodeBlocks + rank.newDecodeBlocks : 0;
    const requests = terms.activeRequestWeight * rank.activeRequests;
    if (!terms.trackPrefillTokens) return Math.max(0, decode - credit) + requests;
    const raw = (rank.activePrefillTokens + islTokens) / blockSize;
    return terms.prefillLoadScale * Math.max(0, raw - credit) + decode + requests;
  });
}

/** How much of the overlap counts where more is being prefilled than elsewhere. */
function decay(excessTokens: number, islTokens: number, blockSize: number, terms: ChoiceTerms): number {
  const blocks = Math.ceil(islTokens / blockSize);
  return blocks === 0 ? 1 : 1 / (1 + (terms.overlapCreditDecay * (excessTokens / blockSize)) / blocks);
}
