// How sure the router is of the blocks it predicts, and the closed list of reasons why it is not (protocol, degrade-reasons.ts).
//
//   exact      every token, range and hash is what the worker will publish
//   degraded   only a part is sure: the blocks before the first image that could not be named or counted, unless the reason says otherwise
//   fallback   not even those: routing is by load alone
//
// Nothing here is an error for the client: the request goes on, a degraded image costs cache hits (style.md §3).
import type { ImageReason } from "@mm-router/protocol";

export type DegradeReason = ImageReason;

export type Quality =
  | { readonly kind: "exact" }
  | { readonly kind: "degraded"; readonly reason: DegradeReason }
  | { readonly kind: "fallback"; readonly reason: DegradeReason };

export const exact: Quality = { kind: "exact" };
