// One info line per request, at its end: what was decided, how long it took, how it went. Never prompts, URLs, tokens.
// The same facts are kept for who asks later, while the request runs too (decisions/decision-ring.ts).
import { hexOf, toAppError } from "@mm-router/protocol";
import type { Clock, Logger } from "@mm-router/runtime";
import type { DecisionRing, KeptDecision } from "./decisions/decision-ring.ts";
import type { Outcome, RouterMetrics } from "./metrics.ts";
import type { ReceivedRequest } from "./received-request.ts";
import { reasonOf } from "./routing/degrade.ts";
import type { SeenBlocks } from "./routing/seen-blocks.ts";
import type { Choice } from "./routing/routing-plan.ts";

export interface RequestLogDeps {
  readonly log: Logger;
  readonly metrics: RouterMetrics;
  readonly clock: Clock;
  readonly decisions: Pick<DecisionRing, "keep">;
  readonly seen: SeenBlocks;
}

const noHashes = new BigUint64Array();

export class RequestLog {
  private readonly deps: RequestLogDeps;
  private readonly startedAt: number;
  private readonly facts: Record<string, unknown>;
  private readonly kept: KeptDecision;

  constructor(requestId: string, deps: RequestLogDeps) {
    this.deps = deps;
    this.startedAt = deps.clock.now();
    this.facts = { request_id: requestId };
    this.kept = { requestId, receivedAt: Date.now(), promptTokens: 0, images: 0, retries: 0 };
    deps.decisions.keep(this.kept);
  }

  received({ tokenIds, images, givenHashes }: ReceivedRequest): void {
    this.facts["prompt_tokens"] = tokenIds.length;
    this.facts["images"] = images.length;
    this.kept.promptTokens = tokenIds.length;
    this.kept.images = images.length;
    if (givenHashes !== undefined) this.facts["identity"] = "given";
  }

  chosen({ worker, dpRank, prompt, quality, booking }: Choice): void {
    const elapsed = this.elapsedMs();
    const { availableBlocks: available, overlapBlocks: held } = booking;
    const attainable = Math.max(available, this.deps.seen.see(booking.hashes ?? noHashes));
    Object.assign(this.facts, {
      instance_id: hexOf(worker.instanceId),
      dp_rank: dpRank,
      isl_tokens: prompt.islTokens,
      attainable_blocks: attainable,
      available_blocks: available,
      overlap_blocks: held,
      quality: quality.kind,
      reason: reasonOf(quality),
      routing_ms: elapsed,
    });
    if (prompt.mmHashes !== undefined) this.facts["identity"] = "ours";
    this.kept.chosen = {
      worker: booking.worker,
      decision: booking.decision,
      availableBlocks: available,
      routingTokens: prompt.islTokens,
      blocks: prompt.blockHashes.length,
      imageRanges: prompt.imageRanges ?? [],
      quality,
      routingMs: elapsed,
    };
    this.deps.metrics.chosen(elapsed / 1000, quality, { asked: prompt.blockHashes.length, attainable, available, held });
  }

  retried(): void {
    this.facts["retries"] = ++this.kept.retries;
    this.deps.metrics.retried();
  }

  firstToken(): void {
    const elapsed = this.elapsedMs();
    this.facts["first_token_ms"] = elapsed;
    this.kept.firstTokenMs = elapsed;
    this.deps.metrics.firstToken(elapsed / 1000);
  }

  /** @param cachedTokens what the worker had in its cache; undefined when it does not say */
  delivered(cachedTokens: number | undefined): void {
    if (cachedTokens === undefined) return;
    this.facts["cached_tokens"] = cachedTokens;
    this.kept.cachedTokens = cachedTokens;
    this.deps.metrics.delivered(cachedTokens);
  }

  finished(outcome: Outcome, error?: unknown): void {
    this.deps.metrics.finished(outcome);
    const duration = this.elapsedMs();
    this.kept.outcome = outcome;
    this.kept.durationMs = duration;
    if (error !== undefined) this.kept.errorCode = toAppError(error).code;
    this.deps.log.info("request done", { ...this.facts, ...errorFacts(outcome, error), outcome, duration_ms: duration });
  }

  private elapsedMs(): number {
    return Math.round((this.deps.clock.now() - this.startedAt) * 1000) / 1000;
  }
}

/** A worker's own text may hold a URL with its signature: it goes to the client, not into the log. */
function errorFacts(outcome: Outcome, error: unknown): Record<string, unknown> {
  if (error === undefined) return {};
  const { code, status, message } = toAppError(error);
  return outcome === "worker_failed" ? { code, status } : { code, status, error: message };
}
