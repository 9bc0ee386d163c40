// Looks whether workers publish the blocks that were predicted for prompts with images, and says whom not to believe about them.
//
//   booked ── check opened ──▶ the rank's events ──▶ stream ended ── grace ──▶ exact · different · unseen ──▶ trust per worker
//                                                                                   │
//      different: another dialect's block? then that is the worker's       ◀┘      three exact ones in a row: believed again
//                 else one log line, and images of that worker are routed by their text
//
// Prediction goes on for a worker that is not believed: that is how it can be believed again.
// I1  Nothing here holds up or fails a request. Events are heard only while a check is open; `checksMax` are open at most.
// I2  A settled worker is checked once per interval. What ended without tokens, or while events may be missing, is not judged.
import { type OverlapScore, PredictionCheck, PredictionTrust, type PredictionVerdict, RankMap } from "@mm-router/kv";
import { hexOf, type ImageDialect, type InstanceId, type RouterEvent, type WorkerKey } from "@mm-router/protocol";
import type { Clock, LabelledValue, Logger } from "@mm-router/runtime";
import type { Worker } from "../workers/worker.ts";
import { type DialectPins, dialectShownBy, type PredictAs } from "./image-dialects.ts";
import type { PublishedEvents } from "./published-events.ts";
import { RecentBlocks } from "./recent-blocks.ts";

export interface SentinelOptions {
  /** A settled worker is checked once in so many ms. */
  readonly intervalMs: number;
  /** How long after a stream's end its last events may still come. */
  readonly graceMs?: number;
}

export interface SentinelDeps {
  readonly events: Pick<PublishedEvents, "listen">;
  readonly isLive: (workerId: InstanceId) => boolean;
  /** Absent: the operator says which dialect it is. */
  readonly dialects?: DialectPins | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A prompt with images that was booked on a rank. */
export interface Watched {
  readonly worker: Worker;
  readonly rank: WorkerKey;
  /** All its full blocks, as they were predicted. */
  readonly predicted: BigUint64Array;
  readonly overlapBlocks: OverlapScore["blocks"];
  readonly predictAs?: PredictAs | undefined;
}

/** To be told once: whether tokens came before the stream ended. */
export type WatchEnd = (tokensCame: boolean) => void;

type Different = Extract<PredictionVerdict, { kind: "different" }>;

interface OpenCheck {
  readonly watched: Watched;
  readonly check: PredictionCheck;
}

interface WorkerTrust {
  readonly trust: PredictionTrust;
  readonly imageDialect: ImageDialect;
  /** A settled worker is not checked before, ms. */
  nextCheckMs: number;
}

export type PredictionLabels = "worker_id" | "image_dialect" | "verdict";

const graceMsDefault = 1_000;
const checksMax = 64;

export class Sentinel {
  private readonly options: SentinelOptions;
  private readonly deps: SentinelDeps;
  private readonly trusts = new Map<InstanceId, WorkerTrust>();
  private readonly open = new Set<OpenCheck>();
  private readonly recent = new RankMap<RecentBlocks>();
  private readonly routed: BigUint64Array[] = [];
  private stopListening: (() => void) | undefined;

  constructor(options: SentinelOptions, deps: SentinelDeps) {
    this.options = options;
    this.deps = deps;
  }

  isTrusted(workerId: InstanceId): boolean {
    return this.trusts.get(workerId)?.trust.isTrusted ?? true;
  }

  /** A request was sent with these blocks: what it publishes is no stranger. */
  sent(hashes: BigUint64Array): void {
    if (this.routed.push(hashes) > routedMax) this.routed.shift();
  }

  /** Opens a check for a booked request; undefined when this one is not looked at. */
  watch(watched: Watched): WatchEnd | undefined {
    const known = this.trustOf(watched.worker);
    const now = this.deps.clock.now();
    if (this.open.size >= checksMax || (known.trust.isSettled && now < known.nextCheckMs)) return undefined;
    if (watched.overlapBlocks >= watched.predicted.length) return undefined; // nothing will be published
    known.nextCheckMs = now + this.options.intervalMs;
    const recent = this.recent.get(watched.rank);
    const check = new PredictionCheck(watched.predicted, watched.overlapBlocks, (hash) => recent?.has(hash) ?? false);
    const opened = { watched, check };
    this.open.add(opened);
    this.stopListening ??= this.deps.events.listen({ event: (event) => this.heard(event), lost: () => this.drop() });
    return (tokensCame) => this.ended(opened, tokensCame);
  }

  /** Verdicts so far, of live workers. */
  tallies(): LabelledValue<PredictionLabels>[] {
    this.forgetGone();
    return Array.from(this.trusts, ([id, { trust, imageDialect }]) =>
      Object.entries(trust.counts).map(([verdict, value]) => ({
        labels: { worker_id: `${id}`, image_dialect: imageDialect, verdict },
        value,
      })),
    ).flat();
  }

  /** Live workers whose images are routed by text. */
  get distrusted(): number {
    this.forgetGone();
    return Array.from(this.trusts.values()).filter(({ trust }) => !trust.isTrusted).length;
  }

  private heard({ worker_id, event: { dp_rank, data } }: RouterEvent): void {
    if (data === "cleared" || !("stored" in data)) return;
    for (const { watched, check } of this.open) {
      if (watched.rank.workerId === worker_id && watched.rank.dpRank === dp_rank) check.stored(data.stored);
    }
    const rank = { workerId: worker_id, dpRank: dp_rank };
    let recent = this.recent.get(rank);
    if (recent === undefined) this.recent.set(rank, (recent = new RecentBlocks()));
    recent.add(data.stored.blocks);
  }

  private ended(opened: OpenCheck, tokensCame: boolean): void {
    if (!this.open.has(opened)) return;
    if (!tokensCame) return this.shut(opened);
    if (opened.check.isExact) return this.judge(opened);
    setTimeout(() => this.judge(opened), this.options.graceMs ?? graceMsDefault).unref();
  }

  private judge(opened: OpenCheck): void {
    if (!this.open.has(opened)) return;
    const { predicted, predictAs } = opened.watched;
    const explains = (block: number, hash: bigint) => this.routed.some((hashes) => hashes !== predicted && hashes[block] === hash);
    const verdict = opened.check.verdict(explains);
    this.shut(opened);
    const { dialects } = this.deps;
    if (verdict.kind !== "different" || predictAs === undefined || dialects === undefined) this.note(opened.watched, verdict);
    else void this.learn(opened.watched, verdict, predictAs, dialects);
  }

  /** Never rejects. A verdict about a dialect that was given up meanwhile says nothing. */
  private async learn(watched: Watched, verdict: Different, predictAs: PredictAs, dialects: DialectPins): Promise<void> {
    const { worker } = watched;
    const { instanceId, imageDialect } = worker;
    const shown = await dialectShownBy(verdict, imageDialect, predictAs);
    if (dialects.get(instanceId)?.imageDialect !== imageDialect) return;
    if (shown === undefined) return this.note(watched, verdict);
    dialects.pin(instanceId, shown);
    this.trusts.delete(instanceId);
    const facts = { instance_id: hexOf(instanceId), release: worker.dialect.line, promised: imageDialect, shown };
    this.deps.log.info("a worker's events show another image dialect than its card promised", facts);
  }

  private note(watched: Watched, verdict: PredictionVerdict): void {
    const { worker, rank } = watched;
    const known = this.trustOf(worker);
    const change = known.trust.note(verdict);
    if (verdict.kind === "different") this.sayDifferent(watched, verdict, change === "lost");
    if (change !== "regained") return;
    this.deps.log.info("a worker publishes again what is predicted: its images are routed by content", {
      instance_id: hexOf(rank.workerId),
    });
  }

  private sayDifferent({ worker, rank }: Watched, verdict: Different, isNews: boolean): void {
    const facts = {
      instance_id: hexOf(rank.workerId),
      dp_rank: rank.dpRank,
      release: worker.dialect.line,
      image_dialect: worker.imageDialect,
      block: verdict.block,
      predicted: verdict.predicted,
      published: verdict.published,
    };
    if (isNews) this.deps.log.warn("a worker publishes other blocks than predicted: its images are routed by their text", facts);
    else this.deps.log.debug("a worker still publishes other blocks than predicted", facts);
  }

  private shut(opened: OpenCheck): void {
    this.open.delete(opened);
    if (this.open.size === 0) this.drop();
  }

  /** No check is open any more, or events may be missing. */
  private drop(): void {
    this.open.clear();
    this.recent.clear();
    this.stopListening?.();
    this.stopListening = undefined;
  }

  private trustOf({ instanceId, imageDialect }: Worker): WorkerTrust {
    const known = this.trusts.get(instanceId);
    if (known !== undefined) return known;
    this.forgetGone();
    const made = { trust: new PredictionTrust(), imageDialect, nextCheckMs: 0 };
    this.trusts.set(instanceId, made);
    return made;
  }

  private forgetGone(): void {
    for (const id of this.trusts.keys()) if (!this.deps.isLive(id)) this.trusts.delete(id);
  }
}

/** Prompts that are remembered as explanations. */
const routedMax = 256;
