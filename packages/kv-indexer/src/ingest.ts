// Events → index: decodes what the sources give, gives each rank its own, and keeps only what belongs to live workers.
//
//   source ─► envelope ─► events ─► live worker? ─► its rank's follower ─► index
//     │                                  └─ not yet known: kept for a moment, then dropped
//     └─ maybe_lost: every rank that this source feeds is in doubt
//
// I1  A message is applied as a whole or, when it cannot be decoded, not at all; nothing in it stops the loop.
// I2  Once a worker is gone, nothing of it is taken any more.
import { type KvIndex, RankMap } from "@mm-router/kv";
import {
  decodeEventMessage,
  type Dialect,
  type EventMessageContent,
  type InstanceId,
  type RouterEvent,
  toAppError,
  type U64,
  type WorkerKey,
} from "@mm-router/protocol";
import type { Clock, EventMessage, EventSource, Logger, LossReason } from "@mm-router/runtime";
import { EarlyEvents } from "./early-events.ts";
import type { IndexerMetrics, RecoveryReason } from "./metrics.ts";
import { RankFollower } from "./rank-follower.ts";
import { factsOf, type Recovered } from "./recovery.ts";
import type { RankState } from "./snapshot/snapshot-form.ts";

/** What is asked of the membership. */
export interface Workers {
  has(workerId: InstanceId): boolean;
  dialectOf(workerId: InstanceId): Dialect;
  recoveryTarget(worker: WorkerKey): object | undefined;
  recoverableRanks(): readonly WorkerKey[];
  ranksOfPublisher(publisherId: U64): readonly WorkerKey[];
}

type Ask = (worker: WorkerKey, start: U64 | null, signal: AbortSignal) => Promise<Recovered>;

export interface IngestDeps {
  readonly index: KvIndex;
  readonly workers: Workers;
  readonly ask: Ask;
  /** Tells of ranks whose worker cannot be asked. */
  readonly replay: { canTell(worker: WorkerKey): boolean; readonly ask: Ask };
  readonly metrics: IndexerMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

interface FollowedRank {
  readonly follower: RankFollower;
  readonly gone: AbortController;
  /** The source that fed it last. */
  source: EventSource | undefined;
  /** Clock time of the last event, ms. */
  lastEventMs: number | undefined;
  /** Whether the worker has confirmed its last event. */
  isConfirmed: boolean;
  /** Not asked again before this time, ms: the last recovery failed. */
  askAgainMs: number;
}

export interface RankStatus {
  readonly worker: WorkerKey;
  readonly blocks: number;
  readonly state: "live" | "recovering" | "incomplete";
  readonly lastEventId: U64 | undefined;
  readonly silentSeconds: number | undefined;
}

/** After a failed recovery events are taken as they come; a while later the worker is asked again. */
const askAgainAfterMs = 30_000;
const checkIntervalMs = 5_000;
/** A rank that fell silent is asked once whether that was its last event: nothing that comes later would tell. */
const silenceMs = 5_000;
/** A worker's connection comes back when it does; what it published before that is lost without a trace. */
const othersReconnectMs = 3_000;
/** One line per second at most for messages that cannot be decoded: an attacker writes faster. */
const complaintIntervalMs = 1_000;

export class Ingest {
  readonly #deps: IngestDeps;
  readonly #ranks = new RankMap<FollowedRank>();
  readonly #early: EarlyEvents;
  readonly #timer: NodeJS.Timeout;
  #secondDoubt: NodeJS.Timeout | undefined;
  #idle = Promise.withResolvers<void>();
  #recoveries = 0;
  #changes = 0;
  #caughtUp = false;
  #lastEventMs: number | undefined;
  #complainedMs = Number.NEGATIVE_INFINITY;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
    this.#early = new EarlyEvents((events) => deps.metrics.event("foreign", events));
    this.#timer = setInterval(() => this.#check(), checkIntervalMs);
  }

  /** Takes everything a source gives, until it ends. @param onCaughtUp called whenever it has given what was stored */
  async run(source: EventSource, onCaughtUp: () => void): Promise<void> {
    for await (const item of source) {
      if (item.kind === "message") this.#message(item, source);
      else if (item.kind === "caught_up") onCaughtUp();
      else this.#doubt(source, item.reason);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#secondDoubt);
    for (const { gone } of this.#ranks.values()) gone.abort();
  }

  /** What was stored has been read: every rank is asked for what is missing, also after the last event that was stored. */
  caughtUp(): void {
    this.#caughtUp = true;
    for (const worker of this.#deps.workers.recoverableRanks()) this.#rank(worker).follower.confirm();
  }

  /** Messages of this publisher may be missing, also after the last one that came. */
  doubtPublisher(publisherId: U64): void {
    if (!this.#caughtUp) return; // every rank will be asked
    for (const worker of this.#deps.workers.ranksOfPublisher(publisherId)) this.#rank(worker).follower.doubt();
  }

  /** Resolves when no recovery runs. */
  async settled(): Promise<void> {
    while (this.#recoveries > 0) await this.#idle.promise;
  }

  /** Asks for every rank whose blocks are not known in full. */
  completeRanks(): void {
    if (!this.#caughtUp) return;
    for (const worker of this.#deps.workers.recoverableRanks()) this.#rank(worker).follower.complete();
  }

  #check(): void {
    this.completeRanks();
    this.#early.expire(this.#deps.clock.now());
    const silentSince = this.#deps.clock.now() - silenceMs;
    for (const rank of this.#ranks.values()) {
      const { follower, lastEventMs, isConfirmed } = rank;
      if (isConfirmed || lastEventMs === undefined || lastEventMs > silentSince) continue;
      rank.isConfirmed = true;
      if (this.#deps.workers.recoveryTarget(follower.worker) !== undefined) follower.doubt();
    }
  }

  workerCame(workerId: InstanceId): void {
    for (const { event, publisherId, source } of this.#early.take(workerId)) this.#event(event, publisherId, source);
    for (const worker of this.#deps.workers.recoverableRanks()) if (worker.workerId === workerId) this.recoverable(worker);
  }

  workerGone(workerId: InstanceId): void {
    for (const { follower, gone } of this.#ranks.ofWorker(workerId)) {
      gone.abort();
      this.#ranks.delete(follower.worker);
    }
    this.#early.take(workerId);
    this.#changes++;
    this.#deps.index.removeWorker(workerId);
  }

  /** Somebody can be asked about this rank now. */
  recoverable(worker: WorkerKey): void {
    if (this.#caughtUp && this.#deps.workers.has(worker.workerId)) this.#rank(worker).follower.complete();
  }

  /** The index holds what a snapshot says of this rank; `source` goes on where that ended. A rank that cannot be followed on is dropped. */
  resume(state: RankState, source: EventSource | undefined): void {
    const { workers, index } = this.#deps;
    const canFollow = source !== undefined || workers.recoveryTarget(state.worker) !== undefined;
    if (!workers.has(state.worker.workerId) || !canFollow) return index.removeRank(state.worker);
    const rank = this.#rank(state.worker);
    rank.source = source;
    rank.follower.resume(state);
  }

  /** Counts whatever changes the index. */
  get changes(): number {
    return this.#changes;
  }

  get ranks(): readonly WorkerKey[] {
    return Array.from(this.#ranks.values(), ({ follower }) => follower.worker);
  }

  /** undefined: there is no such rank, or what it holds is just being asked for. */
  stateOf(worker: WorkerKey): (RankState & { readonly epoch: number }) | undefined {
    const rank = this.#ranks.get(worker);
    const state = rank?.follower.state;
    if (rank === undefined || state === undefined) return undefined;
    return { ...state, worker, stream: rank.source?.position?.stream, epoch: rank.follower.epoch };
  }

  get recovering(): number {
    return this.#recoveries;
  }

  get silentSeconds(): number | undefined {
    return this.#secondsSince(this.#lastEventMs);
  }

  statusOf(workerId: InstanceId): RankStatus[] {
    return this.#ranks.ofWorker(workerId).map(({ follower, lastEventMs }) => ({
      worker: follower.worker,
      blocks: this.#deps.index.entriesOf(follower.worker),
      state: follower.isRecovering ? "recovering" : follower.isComplete ? "live" : "incomplete",
      lastEventId: follower.lastEventId,
      silentSeconds: this.#secondsSince(lastEventMs),
    }));
  }

  #message(message: EventMessage, source: EventSource): void {
    const decoded = this.#decoded(message);
    for (const event of decoded?.events ?? []) this.#event(event, decoded?.publisherId, source);
  }

  #decoded({ bytes, subject, sequence }: EventMessage): EventMessageContent | undefined {
    try {
      return decodeEventMessage(bytes);
    } catch (error) {
      this.#deps.metrics.undecodable();
      const now = this.#deps.clock.now();
      if (now - this.#complainedMs < complaintIntervalMs) return undefined;
      this.#complainedMs = now;
      this.#deps.log.warn("message is no KV event", { subject, sequence, bytes: bytes.length, reason: toAppError(error).message });
      return undefined;
    }
  }

  #event(event: RouterEvent, publisherId: U64 | undefined, source: EventSource): void {
    const { metrics, workers, clock } = this.#deps;
    if (!workers.has(event.worker_id)) {
      // While old events are read, whoever is not there is gone; afterwards he may be about to come.
      if (!this.#caughtUp) metrics.event("foreign");
      else if (!this.#early.add({ event, publisherId, source }, clock.now())) metrics.event("early_overflow");
      return;
    }
    const rank = this.#rank({ workerId: event.worker_id, dpRank: event.event.dp_rank });
    rank.source = source;
    rank.lastEventMs = this.#lastEventMs = clock.now();
    rank.isConfirmed = false;
    this.#changes++;
    rank.follower.accept(event, publisherId);
    if (event.event.data === "cleared" && workers.dialectOf(event.worker_id).clearedScope === "worker") {
      for (const { follower } of this.#ranks.ofWorker(event.worker_id)) follower.emptied();
    }
  }

  #doubt(source: EventSource, reason: LossReason): void {
    this.#deps.log.warn("events may be missing, asking the workers", { reason });
    this.#doubtRanks(source, reason);
    if (reason !== "reconnected") return;
    clearTimeout(this.#secondDoubt);
    this.#secondDoubt = setTimeout(() => this.#doubtRanks(source, reason), othersReconnectMs);
  }

  #doubtRanks(source: EventSource, reason: LossReason): void {
    for (const rank of this.#ranks.values()) {
      if (rank.source !== source || this.#willTell(rank, reason)) continue;
      if (reason === "reconnected") rank.askAgainMs = Number.NEGATIVE_INFINITY; // it may have been the way that did not answer
      rank.follower.doubt();
    }
  }

  /** Durable events of 1.0 and 1.2: nobody can be asked, but if one was lost while the server was away, the id of the next one says so. */
  #willTell({ follower: { worker } }: FollowedRank, reason: LossReason): boolean {
    const { workers } = this.#deps;
    if (reason !== "reconnected" || workers.recoveryTarget(worker) !== undefined) return false;
    return workers.dialectOf(worker.workerId).eventIdsStartAt !== undefined;
  }

  #rank(worker: WorkerKey): FollowedRank {
    const known = this.#ranks.get(worker);
    if (known !== undefined) return known;
    const follower = new RankFollower(worker, () => this.#deps.workers.dialectOf(worker.workerId), {
      index: this.#deps.index,
      recover: (start, reason) => this.#recover(rank, start, reason),
      count: this.#deps.metrics.event,
    });
    const rank: FollowedRank = {
      follower,
      gone: new AbortController(),
      source: undefined,
      lastEventMs: undefined,
      isConfirmed: false,
      askAgainMs: Number.NEGATIVE_INFINITY,
    };
    this.#ranks.set(worker, rank);
    return rank;
  }

  #recover(rank: FollowedRank, start: U64 | null, reason: RecoveryReason): boolean {
    const { worker } = rank.follower;
    if (!this.#canAsk(worker) || this.#deps.clock.now() < rank.askAgainMs) {
      this.#deps.metrics.recovery(reason, "no_target");
      return false;
    }
    void this.#ask(rank, start, reason);
    return true;
  }

  #canAsk(worker: WorkerKey): boolean {
    return this.#deps.workers.recoveryTarget(worker) !== undefined || this.#deps.replay.canTell(worker);
  }

  /** Never rejects. */
  async #ask(rank: FollowedRank, start: U64 | null, reason: RecoveryReason): Promise<void> {
    const { worker } = rank.follower;
    const { signal } = rank.gone;
    this.#recoveries++;
    try {
      const { workers, ask, replay } = this.#deps;
      const answer = await (workers.recoveryTarget(worker) === undefined ? replay.ask(worker, start, signal) : ask(worker, start, signal));
      if (signal.aborted) return;
      this.#deps.metrics.recovery(reason, answer.kind);
      this.#changes++;
      rank.follower.recovered(answer);
    } catch (error) {
      if (signal.aborted) return;
      this.#deps.metrics.recovery(reason, "failed");
      this.#deps.log.warn("nobody tells what a rank holds; its blocks are forgotten until events bring them back", {
        ...factsOf(worker),
        reason,
        error,
      });
      rank.askAgainMs = this.#deps.clock.now() + askAgainAfterMs;
      rank.follower.failed();
    } finally {
      this.#recoveries--;
      this.#idle.resolve();
      this.#idle = Promise.withResolvers();
    }
  }

  #secondsSince(ms: number | undefined): number | undefined {
    return ms === undefined ? undefined : (this.#deps.clock.now() - ms) / 1000;
  }
}
