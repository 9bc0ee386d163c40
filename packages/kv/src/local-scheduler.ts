// Chooses a rank for each request and keeps the books: the one class that mm-router calls.
//
//   overlap (from the indexer) ─┐
//   load (active-sequences.ts) ─┼─► costs ─► cheapest, or drawn by temperature ─► booked ─► { prefillDone, free }
//   candidates (live ranks)    ─┘
//
// A tie goes to the rank with the least load, then to the one that a hash of the request's first block prefers: equal prompts meet again
// on one rank before any event has come, and replicas of this router agree without talking.
import { AppError, type WorkerKey } from "@mm-router/protocol";
import { ActiveSequences } from "./active-sequences.ts";
import { overlapOf, type OverlapScores } from "./overlap.ts";
import { mix } from "./radix/hash-bits.ts";
import { ReplicaLoad } from "./replica-load.ts";
import { choiceTerms, type ChoiceTerms, type KvRouterConfig, type RouterConfigOverride } from "./router-config.ts";
import { sequenceHashes } from "./sequence-hash.ts";
import { rankCosts, type RankLoad, type RankSituation } from "./worker-cost.ts";
import { cheapest, drawByTemperature } from "./worker-selector.ts";

export interface LocalSchedulerOptions {
  readonly blockSize: number;
  readonly config: KvRouterConfig;
  /** ms; never goes back. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** How long a request counts that nobody frees; default 300 s (`DYN_ROUTER_ACTIVE_REQUEST_EXPIRY_SECS`). */
  readonly expiryMs?: number;
}

/** Told of every booking, e.g. to tell other routers. */
export interface BookingObserver {
  booked(booked: BookedRequest): void;
  /** Its first tokens came; told once, before `freed`. */
  prefillDone(booked: BookedRequest): void;
  /** Told once; not told of what expired. */
  freed(booked: BookedRequest): void;
}

export interface BookedRequest {
  /** Unique in this scheduler. */
  readonly id: number;
  readonly worker: WorkerKey;
  readonly islTokens: number;
  readonly overlapBlocks: number;
  /** Sequence hashes of the full blocks; undefined when blocks are not tracked. */
  readonly hashes: BigUint64Array | undefined;
  /** Tokens to be prefilled; 0 when they are not tracked. */
  readonly prefillTokens: number;
  readonly tracksPrefill: boolean;
  readonly expectedOutputTokens: number | undefined;
}

export interface ScheduleRequest {
  /** Every routing token, a partial last block included. */
  readonly islTokens: number;
  /** Local block hashes of the full blocks. */
  readonly blockHashes: BigUint64Array;
  /** Empty: the choice follows the load alone. */
  readonly overlap: OverlapScores;
  /** Ranks that may serve the request. */
  readonly candidates: readonly WorkerKey[];
  readonly override?: RouterConfigOverride | undefined;
  /** How long the answer is thought to be: its blocks fade towards that, where they are tracked. */
  readonly expectedOutputTokens?: number | undefined;
}

/** Why a rank was chosen: one row per candidate, in their order. */
export interface Decision {
  readonly chosen: RankDecision;
  readonly ranks: readonly RankDecision[];
  /** The ranks of the lowest cost. */
  readonly ties: readonly RankDecision[];
}

export interface RankDecision extends RankSituation {
  readonly worker: WorkerKey;
  readonly cost: number;
}

export interface Booking {
  readonly worker: WorkerKey;
  readonly overlapBlocks: number;
  /** Most blocks that any candidate holds. */
  readonly availableBlocks: number;
  readonly decision: Decision;
  /** Sequence hashes of the full blocks; undefined when blocks are not tracked. */
  readonly hashes: BigUint64Array | undefined;
  /** To be called when the first tokens come; safe to call at any time. Bound: may be passed on. */
  readonly prefillDone: () => void;
  /** To be called with the number of tokens that came; absent where blocks of answers are not tracked. Bound. */
  readonly generated?: (tokens: number) => void;
  /** To be called when the stream ends in whatever way; only the first call counts. Bound: may be passed on. */
  readonly free: () => void;
}

const expiryMsDefault = 300_000;
const noHashes = new BigUint64Array();

export class LocalScheduler {
  private readonly options: LocalSchedulerOptions;
  private readonly active: ActiveSequences;
  /** What other routers have running on the same ranks. */
  readonly replicas: ReplicaLoad;
  private readonly observers: BookingObserver[] = [];
  private nextId = 1;

  constructor(options: LocalSchedulerOptions) {
    this.options = options;
    this.active = new ActiveSequences(options.expiryMs ?? expiryMsDefault);
    this.replicas = new ReplicaLoad(this.active, options);
  }

  /**
   * Chooses and books a rank.
   *
   * @throws AppError `no_instances` without candidates, `invalid_request` for an impossible override
   */
  select(request: ScheduleRequest): Booking {
    const now = this.options.now();
    const terms = choiceTerms(this.options.config, request.override);
    const hashes = this.sequenceHashes(request, terms);
    const decision = this.decide(request, terms, hashes);
    const { worker, overlapBlocks } = decision.chosen;
    const booked: BookedRequest = {
      id: this.nextId++,
      worker,
      islTokens: request.islTokens,
      overlapBlocks,
      hashes: terms.trackActiveBlocks ? hashes : undefined,
      prefillTokens: terms.trackPrefillTokens ? Math.max(0, request.islTokens - overlapBlocks * this.options.blockSize) : 0,
      tracksPrefill: terms.trackPrefillTokens,
      expectedOutputTokens: request.expectedOutputTokens,
    };
    this.active.add(booked.id, worker, booked.hashes ?? noHashes, booked.prefillTokens, now);
    for (const observer of this.observers) observer.booked(booked);
    const availableBlocks = decision.ranks.reduce((most, rank) => Math.max(most, rank.overlapBlocks), 0);
    return {
      worker,
      overlapBlocks,
      availableBlocks,
      decision,
      hashes: booked.hashes,
      prefillDone: () => this.prefillDone(booked),
      ...(this.options.config.router_track_output_blocks === true && terms.trackActiveBlocks && { generated: this.growing(booked) }),
      free: () => this.free(booked),
    };
  }

  /** What `select` would decide, without booking. */
  explain(request: ScheduleRequest): Decision {
    const terms = choiceTerms(this.options.config, request.override);
    return this.decide(request, terms, this.sequenceHashes(request, terms));
  }

  /** Tells somebody of every booking from now on. */
  observe(observer: BookingObserver): void {
    this.observers.push(observer);
  }

  load(worker: WorkerKey): RankLoad {
    return this.active.load(worker);
  }

  /** Requests that are booked now. */
  get activeRequests(): number {
    return this.active.size;
  }

  /** Counts the blocks that an answer fills, the prompt's last partial one included. */
  private growing({ id, islTokens, expectedOutputTokens }: BookedRequest): (tokens: number) => void {
    const { blockSize } = this.options;
    let generated = 0;
    let blocks = Math.ceil(islTokens / blockSize);
    return (tokens) => {
      generated += tokens;
      const weight = expectedOutputTokens === undefined ? 1 : Math.max(0, 1 - generated / Math.max(1, expectedOutputTokens));
      for (; blocks < Math.ceil((islTokens + generated) / blockSize); blocks++) this.active.grow(id, weight);
    };
  }

  private prefillDone(booked: BookedRequest): void {
    if (!this.active.markPrefillCompleted(booked.id)) return;
    for (const observer of this.observers) observer.prefillDone(booked);
  }

  private free(booked: BookedRequest): void {
    if (!this.active.free(booked.id)) return;
    for (const observer of this.observers) observer.freed(booked);
  }

  private decide(request: ScheduleRequest, terms: ChoiceTerms, hashes: BigUint64Array): Decision {
    if (request.candidates.length === 0) throw new AppError("no_instances", "no worker serves this model");
    this.active.expire(this.options.now());
    const overlap = overlapOf(request.overlap);
    const newBlocks = this.active.newBlocks(hashes);
    const situations = request.candidates.map((worker) => ({
      worker,
      ...this.active.load(worker),
      overlapBlocks: overlap(worker),
      newDecodeBlocks: newBlocks(worker),
    }));
    const costs = rankCosts(situations, request.islTokens, this.options.blockSize, terms);
    const ranks = situations.map((situation, index) => ({ ...situation, cost: costs[index]! }));
    const ties = cheapest(costs).map((index) => ranks[index]!);
    const chosen =
      terms.temperature > 0 ? ranks[drawByTemperature(costs, terms.temperature, this.options.random)]! : this.breakTie(ties, hashes);
    return { chosen, ranks, ties };
  }

  private breakTie(ties: readonly RankDecision[], hashes: BigUint64Array): RankDecision {
    const first = hashes[0] ?? BigInt(Math.floor(this.options.random() * 0x1_0000_0000));
    const order = (rank: RankDecision) => [
      rank.activePrefillTokens,
      rank.activeDecodeBlocks,
      rank.activeRequests,
      affinity(first, rank.worker),
    ];
    return ties.reduce((best, rank) => (isBefore(order(rank), order(best)) ? rank : best));
  }

  /** Random ones where running requests are not to be shared with (kv.md §3.2). */
  private sequenceHashes({ blockHashes }: ScheduleRequest, terms: ChoiceTerms): BigUint64Array {
    if (terms.assumeKvReuse) return sequenceHashes(blockHashes);
    const bits = () => Math.floor(this.options.random() * 0x1_0000_0000);
    const halves = Uint32Array.from({ length: 2 * blockHashes.length }, bits);
    return new BigUint64Array(halves.buffer);
  }
}

/** Rendezvous hashing: each pair of block and rank has its own number; the rank with the lowest is preferred. */
function affinity(block: bigint, { workerId, dpRank }: WorkerKey): number {
  const worker = mix(Number(workerId & 0xffff_ffffn), Number(workerId >> 32n), dpRank);
  return mix(Number(block & 0xffff_ffffn), Number(block >> 32n), worker) >>> 0;
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  for (const [index, value] of a.entries()) if (value !== b[index]) return value < b[index]!;
  return false;
}
