// The closed list of reasons why a request was routed on less than everything. None of them fails a request.
// Those about images are in multimodal/quality.ts; this file adds those about index, workers and routing itself.
import { type DegradeReason as ImageReason, degradeReasons as imageReasons } from "../multimodal/quality.ts";

/** Reason → what it means and what an operator can do about it. */
export const routingReasons = {
  "index-missing": "nobody serves kv_indexer_query under the workers' component: start an indexer",
  "index-late": "the index did not answer within its deadline: it is overloaded, or the machine is",
  "index-failed": "the index refused, broke off or answered what cannot be read; its log says more",
  "index-resting": "the index failed several times in a row and is not asked for a moment",
  "block-size": "workers with another block size than ours cannot be matched, only balanced by load",
  "analysis-failed": "a fault of this router while it looked at the images; the log has the error",
} as const;

export type DegradeReason = keyof typeof routingReasons | ImageReason;

export const degradeReasons: Readonly<Record<DegradeReason, string>> = { ...routingReasons, ...imageReasons };
