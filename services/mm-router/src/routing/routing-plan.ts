// What is known about where a request fits, and the choice made from it; made again when a worker does not take the request.
import type { Booking, Decision, LocalScheduler, OverlapScore, ScheduleRequest } from "@mm-router/kv";
import { AppError, type InstanceId, type RoutingHints, type WorkerKey } from "@mm-router/protocol";
import type { ReceivedRequest } from "../received-request.ts";
import type { Worker } from "../workers/worker.ts";
import { decisionQuality, type DegradeReason, type Quality } from "./degrade.ts";
import type { OverlapSource } from "./overlap-source.ts";
import type { RoutedPrompt } from "./routed-prompt.ts";
import type { Sentinel, WatchEnd } from "./sentinel.ts";

/** Workers for which the prompt has the same form. */
export interface PlanGroup {
  readonly workers: readonly Worker[];
  readonly prompt: RoutedPrompt;
  /** What ranks of these workers hold. */
  readonly overlap: readonly OverlapScore[];
  /** Where `overlap` comes from; absent when these workers must not get the request. */
  readonly index?: IndexKnowledge;
}

export interface IndexKnowledge {
  /** Why the overlap may be less than what the workers hold. */
  readonly degraded: readonly DegradeReason[];
  /** ms; absent when the index was not asked. */
  readonly tookMs?: number;
}

export interface Choice {
  readonly worker: Worker;
  readonly dpRank: number;
  readonly prompt: RoutedPrompt;
  readonly quality: Quality;
  readonly booking: Booking;
}

interface Candidate {
  readonly worker: Worker;
  readonly group: PlanGroup;
}

/** What the scheduler is asked, and who of whom it may choose. */
interface Question {
  readonly request: ScheduleRequest;
  readonly candidates: readonly Candidate[];
}

/** What the request itself says about its worker. */
export type Wishes = Pick<ReceivedRequest, "routing" | "override">;

export interface PlanDeps {
  readonly scheduler: LocalScheduler;
  /** Told where a request goes. */
  readonly overlaps?: Pick<OverlapSource, "routed"> | undefined;
  readonly sentinel?: Pick<Sentinel, "sent" | "watch"> | undefined;
  /** Those that may be chosen at this moment. */
  readonly available: () => readonly Worker[];
  /** Workers with more to do than they should have; undefined: nobody ever has. */
  readonly isBusy?: ((worker: Worker) => boolean) | undefined;
}

export class RoutingPlan {
  readonly groups: readonly PlanGroup[];
  private readonly wishes: Wishes;
  private readonly deps: PlanDeps;

  constructor(groups: readonly PlanGroup[], wishes: Wishes, deps: PlanDeps) {
    this.groups = groups;
    this.wishes = wishes;
    this.deps = deps;
  }

  /**
   * Chooses a rank and books the request on it; undefined when nobody is left.
   *
   * @param refused workers that did not take the request
   * @throws AppError the refusal, when no kind of worker may get the request; `overloaded` when all are busy
   */
  choose(refused: ReadonlySet<InstanceId>): Choice | undefined {
    const question = this.question(refused);
    if (question === undefined) return undefined;
    const booking = this.deps.scheduler.select(question.request);
    const { workerId, dpRank } = booking.worker;
    const { worker, group } = question.candidates.find((candidate) => candidate.worker.instanceId === workerId)!; // one of them was selected
    this.deps.overlaps?.routed(booking.worker, group.prompt.blockHashes);
    return { worker, dpRank, prompt: group.prompt, quality: qualityOf(group), booking: this.watched(booking, worker, group) };
  }

  /** The booking, its end told to the sentinel too where the request's blocks are looked at. */
  private watched(booking: Booking, worker: Worker, { prompt, index }: PlanGroup): Booking {
    const { sentinel } = this.deps;
    if (sentinel === undefined) return booking;
    const { predicted, predictAs } = prompt;
    sentinel.sent(predicted ?? prompt.blockHashes);
    // A worker that is not believed and whose text has no whole block is asked for nothing, and looked at all the same.
    const isAsked = index?.tookMs !== undefined || prompt.blockHashes.length === 0;
    const isTold = isAsked && index?.degraded.length === 0; // else what the rank holds is not known
    if (predicted === undefined || !isTold) return booking;
    const ended = sentinel.watch({ worker, rank: booking.worker, predicted, overlapBlocks: booking.overlapBlocks, predictAs });
    return ended === undefined ? booking : endingWith(booking, ended);
  }

  /**
   * What `choose` would decide first, without booking; undefined when nobody is there.
   *
   * @throws AppError as `choose`
   */
  explain(): Decision | undefined {
    const question = this.question(new Set());
    return question && this.deps.scheduler.explain(question.request);
  }

  private question(refused: ReadonlySet<InstanceId>): Question | undefined {
    const allowed = this.groups.filter(({ prompt }) => prompt.refusal === undefined);
    const refusal = this.groups[0]?.prompt.refusal;
    if (allowed.length === 0 && refusal !== undefined) throw refusal;
    const candidates = this.candidates(allowed, refused);
    if (candidates.length === 0) return undefined;
    const request = {
      ...longestOf(allowed),
      overlap: allowed.flatMap(({ overlap }) => overlap),
      candidates: candidates.flatMap(({ worker }) => this.ranksOf(worker)),
      override: this.wishes.override,
      expectedOutputTokens: this.wishes.routing.expected_output_tokens ?? undefined,
    };
    return { request, candidates };
  }

  /** Its ranks, or the one that a request for this very worker names. */
  private ranksOf({ instanceId, ranks }: Worker): readonly WorkerKey[] {
    const { backend_instance_id: pinned, dp_rank } = this.wishes.routing;
    if (typeof dp_rank !== "number" || pinned === undefined || pinned === null || BigInt(pinned) !== instanceId) return ranks;
    const named = ranks.filter((rank) => rank.dpRank === dp_rank);
    return named.length === 0 ? ranks : named;
  }

  /** @throws AppError `overloaded` when all of them are busy */
  private notBusy(candidates: Candidate[]): Candidate[] {
    const { isBusy } = this.deps;
    if (isBusy === undefined || candidates.length === 0) return candidates;
    const idle = candidates.filter(({ worker }) => !isBusy(worker));
    if (idle.length === 0) throw new AppError("overloaded", "every worker that may serve this request is busy");
    return idle;
  }

  private candidates(groups: readonly PlanGroup[], refused: ReadonlySet<InstanceId>): Candidate[] {
    const live = new Set(this.deps.available().map(({ instanceId }) => instanceId));
    const all = groups.flatMap((group) => group.workers.map((worker) => ({ worker, group })));
    const usable = all.filter(({ worker: { instanceId } }) => live.has(instanceId) && !refused.has(instanceId));
    const wanted = wantedIds(this.wishes.routing);
    // a frontend's ids may be those of routers, which mean nothing to us
    const named = all.some(({ worker }) => wanted.has(worker.instanceId));
    return this.notBusy(named ? usable.filter(({ worker }) => wanted.has(worker.instanceId)) : usable);
  }
}

/** With an index that answered, a block size other than ours is that of other workers of the group. */
export function qualityOf({ prompt, index }: PlanGroup): Quality {
  const missing = index?.tookMs === undefined ? index?.degraded : index.degraded.filter((reason) => reason !== "block-size");
  return decisionQuality(prompt.quality, missing ?? []);
}

function endingWith(booking: Booking, ended: WatchEnd): Booking {
  let tokensCame = false;
  return {
    ...booking,
    prefillDone: () => {
      tokensCame = true;
      booking.prefillDone();
    },
    free: () => {
      booking.free();
      ended(tokensCame);
    },
  };
}

function wantedIds(hints: RoutingHints): ReadonlySet<InstanceId> {
  const pinned = hints.backend_instance_id;
  const ids = pinned === undefined || pinned === null ? (hints.allowed_worker_ids ?? []) : [pinned];
  return new Set(ids.map((id) => BigInt(id) as InstanceId));
}

/** With workers of several kinds the longest form stands for the request's load. */
function longestOf(groups: readonly PlanGroup[]): { islTokens: number; blockHashes: BigUint64Array } {
  const [first, ...others] = groups.map(({ prompt }) => prompt);
  const { islTokens, blockHashes } = others.reduce((longest, prompt) => (prompt.islTokens > longest.islTokens ? prompt : longest), first!);
  return { islTokens, blockHashes };
}
