// A decision as the page is told of it; the browser's script knows this form too, so nothing of Node is imported here.
import type { DecisionRecord } from "@mm-router/protocol";

/** With the mm-router that made it. */
export type FoundDecision = DecisionRecord & { readonly router_id: string };
