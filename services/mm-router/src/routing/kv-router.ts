// From a request to a plan: prompt forms → block hashes → the index → who holds what.
//
//   workers ── by prompt form ──▶ hashes ── query ──▶ overlap ──▶ plan ── choose ──▶ rank, booked
//
// Nothing here fails a request: what goes wrong costs knowledge, is counted by reason, and routing goes on with the rest.
import type { OverlapScore } from "@mm-router/kv";
import type { Logger } from "@mm-router/runtime";
import type { ReceivedRequest } from "../received-request.ts";
import type { Worker } from "../workers/worker.ts";
import type { WorkerDirectory } from "../workers/worker-directory.ts";
import { type DegradeReason, reasonOf } from "./degrade.ts";
import type { OverlapSource } from "./overlap-source.ts";
import { byTextPrefix, formKey, type PromptDeps, type RoutedPrompt, routedPrompt } from "./routed-prompt.ts";
import { type IndexKnowledge, type PlanDeps, type PlanGroup, RoutingPlan } from "./routing-plan.ts";
import type { Sentinel } from "./sentinel.ts";
import type { Priority, WaitingLine } from "./waiting-line.ts";

export interface KvRouterDeps extends PromptDeps {
  readonly workers: WorkerDirectory;
  readonly overlaps: OverlapSource;
  readonly scheduler: PlanDeps["scheduler"];
  /** Looks whether workers publish what is predicted; undefined: they are believed. */
  readonly sentinel?: Sentinel | undefined;
  /** Where requests wait while all workers have enough to prefill; undefined: nowhere. */
  readonly line?: WaitingLine | undefined;
  readonly isBusy?: PlanDeps["isBusy"];
  readonly onDegraded: (reason: DegradeReason) => void;
  readonly log: Logger;
}

export class KvRouter {
  private readonly deps: KvRouterDeps;

  constructor(deps: KvRouterDeps) {
    this.deps = deps;
  }

  /** @throws AppError `client_closed` when `signal` aborts, `overloaded` when too many wait for a worker, nothing else */
  async plan(request: ReceivedRequest, signal: AbortSignal): Promise<RoutingPlan> {
    const { workers, scheduler, overlaps, sentinel, line, isBusy } = this.deps;
    const forms = Map.groupBy(workers.available(), (worker) => `${formKey(request, worker)}${this.isBelieved(request, worker) ? "" : "!"}`);
    const groups = await Promise.all(Array.from(forms.values(), (group) => this.group(request, group, signal)));
    await line?.pass(() => workers.available(), priorityOf(request), signal);
    return new RoutingPlan(groups, request, { scheduler, overlaps, sentinel, isBusy, available: () => workers.available() });
  }

  private async group(request: ReceivedRequest, workers: readonly Worker[], signal: AbortSignal): Promise<PlanGroup> {
    const [worker] = workers as [Worker]; // groups have a member
    const predicted = await this.prompt(request, worker, signal);
    const prompt = this.isBelieved(request, worker) ? predicted : byTextPrefix(predicted);
    const reason = reasonOf(prompt.quality);
    if (reason !== undefined) this.deps.onDegraded(reason);
    if (prompt.refusal) return { workers, prompt, overlap: [] };
    const { overlap, index } = await this.overlap(workers, prompt, { signal, headers: request.headers });
    for (const missing of index.degraded) this.deps.onDegraded(missing);
    return { workers, prompt, overlap, index };
  }

  private isBelieved({ images }: ReceivedRequest, { instanceId }: Worker): boolean {
    return images.length === 0 || (this.deps.sentinel?.isTrusted(instanceId) ?? true);
  }

  private async prompt(request: ReceivedRequest, worker: Worker, signal: AbortSignal): Promise<RoutedPrompt> {
    try {
      return await routedPrompt(request, worker, this.deps, signal);
    } catch (error) {
      signal.throwIfAborted();
      this.deps.log.error("image analysis failed", { error });
      return {
        islTokens: request.tokenIds.length,
        blockHashes: new BigUint64Array(),
        quality: { kind: "fallback", reason: "analysis-failed" },
      };
    }
  }

  private async overlap(
    workers: readonly Worker[],
    prompt: RoutedPrompt,
    { signal, headers }: { readonly signal: AbortSignal; readonly headers: ReceivedRequest["headers"] },
  ): Promise<{ overlap: OverlapScore[]; index: IndexKnowledge }> {
    const indexed = workers.filter(({ blockSize }) => blockSize === this.deps.blockSize);
    const unmatched: DegradeReason[] = indexed.length < workers.length ? ["block-size"] : [];
    if (indexed[0] === undefined) return { overlap: [], index: { degraded: unmatched } };
    const { scores, degraded, tookMs } = await this.deps.overlaps.query(indexed[0].modelName, prompt.blockHashes, signal, headers);
    const ids = new Set(indexed.map(({ instanceId }) => instanceId));
    return {
      overlap: scores.filter(({ worker }) => ids.has(worker.workerId)),
      index: { degraded: degraded === undefined ? unmatched : [...unmatched, degraded], ...(tookMs !== undefined && { tookMs }) },
    };
  }
}

function priorityOf({ routing }: ReceivedRequest): Priority {
  return { strict: routing.strict_priority ?? 0, jumpSeconds: routing.priority_jump ?? 0 };
}
