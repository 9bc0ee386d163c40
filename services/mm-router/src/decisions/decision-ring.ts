// The last requests and how they were placed, for who asks why one went where it went.
//
// References to what was computed anyway; nothing is worked out before somebody asks (decision-record.ts).
// I1  Bounded: the oldest request goes for the newest. I2  No tokens, prompts, URLs or pixels; images by their names' hashes.
import type { Decision, ImageRange } from "@mm-router/kv";
import type { WorkerKey } from "@mm-router/protocol";
import type { Outcome } from "../metrics.ts";
import type { Quality } from "../routing/degrade.ts";

/** What is known of a request; the later members as they become known. */
export interface KeptDecision {
  readonly requestId: string;
  /** ms since 1970. */
  readonly receivedAt: number;
  promptTokens: number;
  images: number;
  chosen?: KeptChoice;
  retries: number;
  firstTokenMs?: number;
  cachedTokens?: number;
  outcome?: Outcome;
  errorCode?: string;
  durationMs?: number;
}

export interface KeptChoice {
  readonly worker: WorkerKey;
  /** What was weighed: one row per rank. */
  readonly decision: Decision;
  readonly availableBlocks: number;
  readonly routingTokens: number;
  readonly blocks: number;
  /** Of the images that were placed, in prompt order. */
  readonly imageRanges: readonly ImageRange[];
  readonly quality: Quality;
  readonly routingMs: number;
}

export class DecisionRing {
  readonly #kept = new Map<string, KeptDecision>();
  readonly #max: number;

  /** @param max 0: nothing is kept */
  constructor(max: number) {
    this.#max = max;
  }

  /** Keeps a request from now on; the same id again (a frontend that migrates) is the newer one. */
  keep(decision: KeptDecision): void {
    if (this.#max === 0) return;
    this.#kept.delete(decision.requestId);
    this.#kept.set(decision.requestId, decision);
    if (this.#kept.size <= this.#max) return;
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest);
      return;
    }
  }

  find(requestId: string): KeptDecision | undefined {
    return this.#kept.get(requestId);
  }

  /** Newest first. */
  latest(count: number): KeptDecision[] {
    return [...this.#kept.values()].slice(-Math.max(1, count)).toReversed();
  }
}
