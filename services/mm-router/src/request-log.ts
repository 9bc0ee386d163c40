// One info line per request, at its end: what was decided, how long it took, how it went. Never prompts, URLs, tokens.
import { hexOf, toAppError } from "@mm-router/protocol";
import type { Clock, Logger } from "@mm-router/runtime";
import type { Outcome, RouterMetrics } from "./metrics.ts";
import type { ReceivedRequest } from "./received-request.ts";
import { reasonOf } from "./routing/degrade.ts";
import type { Choice } from "./routing/routing-plan.ts";

export interface RequestLogDeps {
  readonly log: Logger;
  readonly metrics: RouterMetrics;
  readonly clock: Clock;
}

export class RequestLog {
  private readonly deps: RequestLogDeps;
  private readonly startedAt: number;
  private readonly facts: Record<string, unknown>;

  constructor(requestId: string, deps: RequestLogDeps) {
    this.deps = deps;
    this.startedAt = deps.clock.now();
    this.facts = { request_id: requestId };
  }

  received({ tokenIds, images, givenHashes }: ReceivedRequest): void {
    this.facts["prompt_tokens"] = tokenIds.length;
    this.facts["images"] = images.length;
    if (givenHashes !== undefined) this.facts["identity"] = "given";
  }

  chosen({ worker, dpRank, prompt, quality, booking }: Choice): void {
    const elapsed = this.elapsedMs();
    const { availableBlocks: available, overlapBlocks: held } = booking;
    Object.assign(this.facts, {
      instance_id: hexOf(worker.instanceId),
      dp_rank: dpRank,
      isl_tokens: prompt.islTokens,
      available_blocks: available,
      overlap_blocks: held,
      quality: quality.kind,
      reason: reasonOf(quality),
      routing_ms: elapsed,
    });
    if (prompt.mmHashes !== undefined) this.facts["identity"] = "ours";
    this.deps.metrics.chosen(elapsed / 1000, quality, { asked: prompt.blockHashes.length, available, held });
  }

  retried(): void {
    this.facts["retries"] = ((this.facts["retries"] as number | undefined) ?? 0) + 1;
    this.deps.metrics.retried();
  }

  firstToken(): void {
    const elapsed = this.elapsedMs();
    this.facts["first_token_ms"] = elapsed;
    this.deps.metrics.firstToken(elapsed / 1000);
  }

  /** @param cachedTokens what the worker had in its cache; undefined when it does not say */
  delivered(cachedTokens: number | undefined): void {
    if (cachedTokens === undefined) return;
    this.facts["cached_tokens"] = cachedTokens;
    this.deps.metrics.delivered(cachedTokens);
  }

  finished(outcome: Outcome, error?: unknown): void {
    this.deps.metrics.finished(outcome);
    this.deps.log.info("request done", { ...this.facts, ...errorFacts(outcome, error), outcome, duration_ms: this.elapsedMs() });
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
