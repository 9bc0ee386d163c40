// How sure a routing decision is, and the closed list of reasons why it is not. None of them fails a request.
//
//   exact      every block of the prompt was predicted, and the index was asked for all of them
//   degraded   the same for the blocks before the first image that could not be named or counted, or is not believed
//   fallback   by load, and by what this router itself sent since the index stopped answering
//
// The reasons stand in protocol (degrade-reasons.ts): counted by name, told to clients, and shown by the frontend's page.
import type { DegradeReason } from "@mm-router/protocol";
import { exact } from "../multimodal/quality.ts";

export type Quality =
  | { readonly kind: "exact" }
  | { readonly kind: "degraded"; readonly reason: DegradeReason }
  | { readonly kind: "fallback"; readonly reason: DegradeReason };

export const qualityKinds = ["exact", "degraded", "fallback"] as const satisfies readonly Quality["kind"][];

export { type DegradeReason, exact };

/** Of a decision: how sure the prompt's blocks are, unless the index gave nothing to compare them with. */
export function decisionQuality(prompt: Quality, missing: readonly DegradeReason[]): Quality {
  const [reason] = missing;
  return reason === undefined || prompt.kind === "fallback" ? prompt : { kind: "fallback", reason };
}

/** The reason of what is not exact. */
export function reasonOf(quality: Quality): DegradeReason | undefined {
  return quality.kind === "exact" ? undefined : quality.reason;
}
