// One rank's events, applied in order: what is missing is asked for, and what comes meanwhile waits.
//
//            next event                       gap, unknown past, new publisher, maybe lost
//   live ───────────────► applied      live ───────────────────────────────────────────────► recovering: events are buffered
//    ▲                                                                                          │
//    └── dump: rank emptied, dump applied · events: applied · failed: rank emptied ◄────────────┘
//        then the buffer is played, in order
//
// I1  A rank never keeps blocks that may be gone: where what is missing cannot be had, its blocks are dropped and later events rebuild them.
// I2  The cursor moves by the ids of live events and by what an answer says it reflects, never by the made-up ids of a dump.
// I3  At most `bufferMax` events wait; what is beyond is dropped and found again as a gap.
import { type ClearedScope, EventOrder, type KvIndex } from "@mm-router/kv";
import type { RouterEvent, U64, WorkerKey } from "@mm-router/protocol";
import type { EventOutcome, RecoveryReason } from "./metrics.ts";
import type { Recovered } from "./recovery.ts";

export interface RankFacts {
  /** First event id of a rank; undefined: the engine numbers the events and leaves out some. */
  readonly eventIdsStartAt: number | undefined;
  readonly clearedScope: ClearedScope;
}

export interface FollowerState {
  readonly cursor: U64 | undefined;
  readonly publisher: U64 | undefined;
  readonly isComplete: boolean;
}

export interface RankFollowerDeps {
  readonly index: KvIndex;
  /** Begins to ask the worker; false when there is nobody to ask. The answer comes through `recovered` or `failed`. */
  readonly recover: (start: U64 | null, reason: RecoveryReason) => boolean;
  readonly count: (outcome: EventOutcome) => void;
}

const bufferMax = 16_384;
/** Answers that may leave the same event missing before it is taken as lost: the events themselves, then a dump. */
const answersMax = 2;

export class RankFollower {
  readonly worker: WorkerKey;
  readonly #facts: () => RankFacts;
  readonly #deps: RankFollowerDeps;
  readonly #order = new EventOrder();
  #buffer: RouterEvent[] | undefined;
  #publisher: U64 | undefined;
  /** Whether everything that the rank holds is known. */
  #isComplete = false;
  /** The event asked for last because of a gap, and how often in a row. */
  #gap: { readonly start: U64 | null; readonly asked: number } = { start: null, asked: 0 };
  /** Messages may have been lost while a recovery ran that could not know it. */
  #doubtful = false;
  #epoch = 0;

  /** @param facts asked anew each time: a worker's card may come after its first event */
  constructor(worker: WorkerKey, facts: () => RankFacts, deps: RankFollowerDeps) {
    this.worker = worker;
    this.#facts = facts;
    this.#deps = deps;
  }

  get isRecovering(): boolean {
    return this.#buffer !== undefined;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  get lastEventId(): U64 | undefined {
    return this.#order.cursor;
  }

  /** Counts the changes of what the rank holds that were none of its events. */
  get epoch(): number {
    return this.#epoch;
  }

  /** An event of another rank emptied this one. */
  emptied(): void {
    this.#epoch++;
  }

  /** undefined: what the rank holds is being asked for. */
  get state(): FollowerState | undefined {
    if (this.isRecovering) return undefined;
    return { cursor: this.#order.cursor, publisher: this.#publisher, isComplete: this.#isComplete };
  }

  /** The index holds of the rank what another follower in this state had put there; nothing has been accepted yet. */
  resume({ cursor, publisher, isComplete }: FollowerState): void {
    if (cursor !== undefined) this.#order.advance(cursor);
    this.#publisher = publisher;
    this.#isComplete = isComplete;
  }

  /** @param publisherId of the envelope; another one than before means that the worker's state is new (≥ 1.4) */
  accept(event: RouterEvent, publisherId: U64 | undefined): void {
    if (this.#publisher !== undefined && publisherId !== undefined && publisherId !== this.#publisher) {
      this.#publisher = publisherId;
      this.#forget();
      if (this.#buffer === undefined) this.#recover(null, "new_publisher");
      else this.#doubtful = true;
    }
    this.#publisher ??= publisherId;
    this.#take(event);
  }

  /** Messages may be missing, also after the last one that came. */
  doubt(): void {
    if (this.#buffer !== undefined) this.#doubtful = true;
    else if (!this.#recover(this.#next(), "maybe_lost")) this.#forget();
  }

  /** Asks for what the rank holds unless that is known. */
  complete(): void {
    if (!this.#isComplete && this.#buffer === undefined) this.#recover(null, "unknown_past");
  }

  /** Asks for what came after the last known event, or for everything. */
  confirm(): void {
    if (this.#isComplete) this.doubt();
    else this.complete();
  }

  recovered(answer: Recovered): void {
    this.#epoch++;
    if (answer.kind === "dump") this.#deps.index.removeRank(this.worker);
    if (answer.kind !== "nothing_new") this.#applyAnswer(answer);
    if (answer.kind === "dump") this.#isComplete = true;
    this.#resume();
  }

  /** Nobody could be asked: whatever the rank held may be gone (I1). */
  failed(): void {
    this.#forget();
    this.#resume();
  }

  #take(event: RouterEvent): void {
    if (this.#buffer !== undefined) {
      if (this.#buffer.length < bufferMax) this.#buffer.push(event);
      else this.#deps.count("recovery_overflow");
      return;
    }
    const id = event.event.event_id;
    switch (this.#order.judge(id, this.#facts().eventIdsStartAt !== undefined)) {
      case "next":
        return this.#apply(event);
      case "duplicate":
        return this.#deps.count("duplicate");
      case "first":
        return this.#takeFirst(event);
      case "gap":
        if (this.#recoverGap()) return this.#take(event);
        this.#forget();
        return this.#apply(event);
    }
  }

  #recoverGap(): boolean {
    const start = this.#next();
    const asked = this.#gap.start === start ? this.#gap.asked : 0;
    this.#gap = { start, asked: asked + 1 };
    return asked < answersMax && this.#recover(asked === 0 ? start : null, "gap");
  }

  /** The very first event of a rank has no past; before any other one there is something unknown. */
  #takeFirst(event: RouterEvent): void {
    if (event.event.event_id === startOf(this.#facts())) this.#isComplete = true;
    else if (this.#recover(null, "unknown_past")) return this.#take(event);
    this.#apply(event);
  }

  #apply(event: RouterEvent): void {
    this.#toIndex(event);
    this.#order.advance(event.event.event_id);
  }

  /** Blocks in host memory or on disk are no blocks of the device; TRT-LLM workers do not tell them. */
  #toIndex(event: RouterEvent): void {
    const isDevice = (event.storage_tier ?? "device") === "device";
    this.#deps.count(isDevice ? this.#deps.index.apply(event, this.#facts().clearedScope) : "other_tier");
  }

  #applyAnswer({ kind, events, cursor }: Exclude<Recovered, { kind: "nothing_new" }>): void {
    const known = this.#order.cursor;
    for (const event of events) {
      if (kind === "events" && known !== undefined && event.event.event_id <= known) continue;
      this.#toIndex(event);
    }
    if (cursor !== undefined) this.#order.advance(cursor);
    else if (kind === "dump") this.#order.reset();
  }

  #recover(start: U64 | null, reason: RecoveryReason): boolean {
    if (!this.#deps.recover(start, reason)) return false;
    this.#buffer = [];
    return true;
  }

  #resume(): void {
    const buffered = this.#buffer ?? [];
    this.#buffer = undefined;
    if (this.#doubtful) {
      this.#doubtful = false;
      this.#recover(this.#next(), "maybe_lost");
    }
    for (const event of buffered) this.#take(event);
  }

  #forget(): void {
    this.#epoch++;
    this.#deps.index.removeRank(this.worker);
    this.#order.reset();
    this.#isComplete = false;
  }

  /** The first event that is missing; null: nothing is known. */
  #next(): U64 | null {
    const { cursor } = this.#order;
    return cursor === undefined ? null : cursor + 1n;
  }
}

function startOf({ eventIdsStartAt }: RankFacts): U64 | undefined {
  return eventIdsStartAt === undefined ? undefined : BigInt(eventIdsStartAt);
}
