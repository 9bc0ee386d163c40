// Asks workers about the blocks of one rank: what came after an event, or everything.
//
//   {start: n}     → the events from n on; or a dump when the worker's ring no longer has n
//   {start: null}  → a dump
//
// Up to 1.0 a dump does not say which event it reflects. There the newest id is asked for first, by a question beyond it, and taken as the
// cursor: events after it that the dump holds already change nothing when they are applied once more, in order.
//
// I1  At most `concurrency` questions at a time, and `attempts` for one recovery, with growing pauses.
// I2  A question that a worker cannot read is never answered: each has its own limit.
import {
  AppError,
  decodeRecoveryAnswer,
  encodeRecoveryQuery,
  type RecoveryAnswer,
  type RouterEvent,
  type U64,
  type WorkerKey,
} from "@mm-router/protocol";
import { Backoff, type EndpointClient, type Logger, withDeadline } from "@mm-router/runtime";
import { randomUUID } from "node:crypto";
import type { RecoveryTarget } from "./membership.ts";

export type Recovered =
  /** To be applied after the cursor. */
  | { readonly kind: "events"; readonly events: readonly RouterEvent[]; readonly cursor: U64 | undefined }
  /** To be applied to an emptied rank; without a cursor the past stays unknown. */
  | { readonly kind: "dump"; readonly events: readonly RouterEvent[]; readonly cursor: U64 | undefined }
  | { readonly kind: "nothing_new" };

export interface RecoveryOptions {
  /** Limit for one answer, ms. */
  readonly timeoutMs: number;
  readonly concurrency: number;
}

export interface RecoveryDeps {
  readonly targetOf: (worker: WorkerKey) => RecoveryTarget | undefined;
  /** Whether an answer says which event it reflects. */
  readonly tellsLastEvent: (worker: WorkerKey) => boolean;
  readonly clientOf: (target: RecoveryTarget) => EndpointClient;
  readonly log: Logger;
}

const attempts = 8;
/** Whoever comes back with NATS or etcd is asked within seconds. */
const backoffMs = { firstMs: 200, maxMs: 2_000 };
/** Beyond every event: asked for to learn the newest one. */
const beyond = 2n ** 62n;

export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #deps: RecoveryDeps;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(options: RecoveryOptions, deps: RecoveryDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /**
   * What the worker says about a rank.
   *
   * @param start  first event that is missing; null: everything
   * @throws AppError the last attempt's, `no_instances` when there is nobody to ask, or the signal's reason
   */
  async ask(worker: WorkerKey, start: U64 | null, signal: AbortSignal): Promise<Recovered> {
    const backoff = new Backoff(backoffMs);
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await this.#limited(() => this.#attempt(worker, start, signal));
      } catch (error) {
        signal.throwIfAborted();
        const isHopeless = error instanceof AppError && error.code === "no_instances";
        if (attempt === attempts || isHopeless) throw error;
        this.#deps.log.debug("a worker did not answer about its blocks, asking again", { ...factsOf(worker), attempt, error });
        await backoff.wait(signal);
      }
    }
  }

  async #attempt(worker: WorkerKey, start: U64 | null, signal: AbortSignal): Promise<Recovered> {
    const target = this.#deps.targetOf(worker);
    if (target === undefined) throw new AppError("no_instances", "nobody answers about this rank's blocks", { details: factsOf(worker) });
    const client = this.#deps.clientOf(target);
    try {
      const query = (from: U64 | null) => this.#query(client, target, worker, from, signal);
      return start === null
        ? await this.#dump(worker, query)
        : (recoveredFrom(await query(start), start) ?? (await this.#dump(worker, query)));
    } finally {
      client.close();
    }
  }

  async #dump(worker: WorkerKey, query: (from: U64 | null) => Promise<RecoveryAnswer>): Promise<Recovered> {
    const newest = this.#deps.tellsLastEvent(worker) ? undefined : await query(beyond);
    const answer = await query(null);
    if (answer.kind !== "dump") throw unexpected(answer);
    // A rank without events answers whatever question with a dump: then no cursor is known, and the first event will be the very first.
    const newestId = newest?.kind === "too_new" ? newest.newestAvailable : undefined;
    return { kind: "dump", events: answer.events, cursor: answer.lastEventId ?? newestId };
  }

  async #query(
    client: EndpointClient,
    target: RecoveryTarget,
    worker: WorkerKey,
    start: U64 | null,
    signal: AbortSignal,
  ): Promise<RecoveryAnswer> {
    const body = encodeRecoveryQuery("json", { worker, start, end: null });
    const work = async (limit: AbortSignal): Promise<RecoveryAnswer> => {
      await client.ready();
      const stream = await client.direct(target.instanceId, { contextId: randomUUID(), body, signal: limit });
      let answer: RecoveryAnswer | undefined;
      for await (const bodies of stream) for (const frame of bodies) answer ??= decodeRecoveryAnswer("json", frame);
      if (answer === undefined) throw new AppError("protocol_error", "a recovery query was answered with nothing");
      return answer;
    };
    return await withDeadline(work, this.#options.timeoutMs, "a recovery query", signal);
  }

  /** Waits for its turn (I1). */
  async #limited<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running >= this.#options.concurrency) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}

/** undefined: the worker counts anew, so only a dump tells what it holds. */
function recoveredFrom(answer: RecoveryAnswer, start: U64): Recovered | undefined {
  switch (answer.kind) {
    case "events":
      return { kind: "events", events: answer.events, cursor: answer.lastEventId ?? answer.events.at(-1)?.event.event_id };
    case "dump":
      // Without a cursor (≤ 1.0) it must be asked for in the right order: see #dump.
      return answer.lastEventId === undefined ? undefined : { kind: "dump", events: answer.events, cursor: answer.lastEventId };
    case "too_new":
      return answer.newestAvailable + 1n === start ? { kind: "nothing_new" } : undefined;
    default:
      throw unexpected(answer);
  }
}

function unexpected(answer: RecoveryAnswer): AppError {
  const details = answer.kind === "error" ? { message: answer.message } : {};
  return new AppError("protocol_error", `a recovery query was answered with ${answer.kind}`, { details });
}

export function factsOf({ workerId, dpRank }: WorkerKey): { worker_id: string; dp_rank: number } {
  return { worker_id: workerId.toString(16), dp_rank: dpRank };
}
