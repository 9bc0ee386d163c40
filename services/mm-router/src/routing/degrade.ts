// How sure a routing decision is, and the closed list of reasons why it is not. None of them fails a request.
//
//   exact      every block of the prompt was predicted, and the index was asked for all of them
//   degraded   the same for the blocks before the first image that could not be named or counted, or is not believed
//   fallback   by load, and by what this router itself sent since the index stopped answering
//
// Reasons about images are in multimodal/quality.ts; this file adds those about index, workers and routing itself.
import { type DegradeReason as ImageReason, degradeReasons as imageReasons, exact } from "../multimodal/quality.ts";

/** Reason → what it means and what an operator can do about it. */
export const routingReasons = {
  "index-missing": "nobody serves kv_indexer_query under the workers' component: start an indexer",
  "index-late": "the index did not answer within its deadline: it is overloaded, or the machine is",
  "index-failed": "the index refused, broke off or answered what cannot be read; its log says more",
  "index-resting": "the index failed several times in a row and is not asked for a moment",
  "block-size": "workers with another block size than ours cannot be matched, only balanced by load",
  "prediction-differs": "this worker publishes other blocks than predicted for images: mmr doctor and the log name the first one",
  "analysis-failed": "a fault of this router while it looked at the images; the log has the error",
} as const;

export type DegradeReason = keyof typeof routingReasons | ImageReason;

export type Quality =
  | { readonly kind: "exact" }
  | { readonly kind: "degraded"; readonly reason: DegradeReason }
  | { readonly kind: "fallback"; readonly reason: DegradeReason };

export const qualityKinds = ["exact", "degraded", "fallback"] as const satisfies readonly Quality["kind"][];

export { exact };

/** Of a decision: how sure the prompt's blocks are, unless the index gave nothing to compare them with. */
export function decisionQuality(prompt: Quality, missing: readonly DegradeReason[]): Quality {
  const [reason] = missing;
  return reason === undefined || prompt.kind === "fallback" ? prompt : { kind: "fallback", reason };
}

/** The reason of what is not exact. */
export function reasonOf(quality: Quality): DegradeReason | undefined {
  return quality.kind === "exact" ? undefined : quality.reason;
}

export const degradeReasons: Readonly<Record<DegradeReason, string>> = { ...routingReasons, ...imageReasons };
