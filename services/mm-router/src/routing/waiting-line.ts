// Requests that wait while every rank they may go to has enough to prefill.
//
//   all ranks: prefill tokens > threshold × batch? ─ no ──▶ go on
//                        └ yes ─▶ line, by strict priority, then arrival less priority jump ── a prefill ends, a request ends, a minute passes ──▶ asked again
//
// Source: kv.md §8.7 (`router_queue_threshold`, first come first served). Off unless the threshold is set.
// I1  One is let through at a time: it is booked before the next one is looked at.
// I2  Whoever leaves, leaves the line. No more than `waitingMax` wait.
import type { BookingObserver, RankLoad } from "@mm-router/kv";
import { AppError, type WorkerKey } from "@mm-router/protocol";
import type { Clock } from "@mm-router/runtime";
import type { Worker } from "../workers/worker.ts";

export interface WaitingLineOptions {
  /** Of the tokens of an engine's batch. */
  readonly threshold: number;
  readonly waitingMax?: number;
}

/** What a request says about its place. */
export interface Priority {
  /** The higher ones come first, whenever they came. */
  readonly strict: number;
  /** By how much it comes before others of its kind. */
  readonly jumpSeconds: number;
}

interface Waiting {
  readonly strict: number;
  /** Clock time of its arrival less its jump, ms. */
  readonly order: number;
  readonly workers: () => readonly Worker[];
  readonly go: PromiseWithResolvers<void>;
}

const waitingMaxDefault = 4_096;
const askAgainMs = 60_000;

export class WaitingLine implements BookingObserver {
  private readonly options: WaitingLineOptions;
  private readonly load: (rank: WorkerKey) => RankLoad;
  private readonly clock: Clock;
  private readonly line: Waiting[] = [];
  private readonly timer: NodeJS.Timeout;
  private isLooking = false;

  constructor(options: WaitingLineOptions, load: (rank: WorkerKey) => RankLoad, clock: Clock) {
    this.options = options;
    this.load = load;
    this.clock = clock;
    this.timer = setInterval(() => this.look(), askAgainMs).unref();
  }

  /**
   * Resolves when one of the workers has room.
   *
   * @param workers     those that may serve the request, as they are when it is looked at
   * @throws the signal's reason; AppError `overloaded` when too many wait
   */
  async pass(workers: () => readonly Worker[], { strict, jumpSeconds }: Priority, signal: AbortSignal): Promise<void> {
    if (this.line.length === 0 && this.hasRoom(workers())) return;
    if (this.line.length >= (this.options.waitingMax ?? waitingMaxDefault))
      throw new AppError("overloaded", "too many requests wait for a worker");
    signal.throwIfAborted();
    const order = this.clock.now() - 1000 * Math.max(0, jumpSeconds);
    const waiting: Waiting = { strict, order, workers, go: Promise.withResolvers() };
    const behind = this.line.findIndex((each) => each.strict < strict || (each.strict === strict && each.order > waiting.order));
    this.line.splice(behind < 0 ? this.line.length : behind, 0, waiting);
    const leave = (): void => {
      this.remove(waiting);
      waiting.go.reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    this.look();
    await waiting.go.promise.finally(() => signal.removeEventListener("abort", leave));
  }

  booked(): void {}

  prefillDone(): void {
    this.look();
  }

  freed(): void {
    this.look();
  }

  get length(): number {
    return this.line.length;
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** Lets through who has room, one at a time (I1). */
  private look(): void {
    if (this.isLooking || this.line.length === 0) return;
    const next = this.line.find(({ workers }) => this.hasRoom(workers()));
    if (next === undefined) return;
    this.remove(next);
    next.go.resolve();
    this.isLooking = true;
    setImmediate(() => {
      this.isLooking = false;
      this.look();
    });
  }

  private remove(waiting: Waiting): void {
    const at = this.line.indexOf(waiting);
    if (at >= 0) this.line.splice(at, 1);
  }

  /** Nobody to wait for is room, too: the choice says what is wrong. */
  private hasRoom(workers: readonly Worker[]): boolean {
    const isFull = ({ ranks, batchTokensMax }: Worker): boolean =>
      batchTokensMax !== undefined && ranks.every((rank) => this.load(rank).activePrefillTokens > this.options.threshold * batchTokensMax);
    return workers.length === 0 || !workers.every(isFull);
  }
}
