// What a rank's worker cannot be asked, its stream may tell: durable events of 1.0 and 1.2 are read once more, for one rank.
//
//   {start: n}     events n, n + 1, … to the end of the stream, when none is missing
//   {start: null}  all events of the rank, when the very first is still there and none after it is missing
//
// I1  A rank of which the stream does not tell all is not known: the question fails, and whoever asks drops its blocks. Ids of 0.9 have
//     gaps by nature, so there no stream ever tells all.
// I2  One rank at a time, each for at most `deadlineMs` and `blocksMax` blocks.
import { AppError, blocksIn, decodeEventMessage, type RouterEvent, type U64, type WorkerKey } from "@mm-router/protocol";
import { type EventMessage, type EventSource, withDeadline } from "@mm-router/runtime";
import { factsOf, type Recovered } from "./recovery.ts";

export interface StreamReplayDeps {
  /** A new source that begins where the stream begins. */
  readonly open: () => EventSource;
  /** First event id of a rank; undefined: ids have gaps. */
  readonly eventIdsStartAt: (worker: WorkerKey) => number | undefined;
}

const deadlineMs = 30_000;
/** Some 100 bytes each while they are held. */
const blocksMax = 2_000_000;

export class StreamReplay {
  readonly #deps: StreamReplayDeps;
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: StreamReplayDeps) {
    this.#deps = deps;
  }

  canTell(worker: WorkerKey): boolean {
    return this.#deps.eventIdsStartAt(worker) !== undefined;
  }

  /** @throws AppError `no_instances` when events are missing in the stream, too; `overloaded`, `deadline_exceeded` */
  async ask(worker: WorkerKey, start: U64 | null, signal: AbortSignal): Promise<Recovered> {
    const turn = this.#last.then(() => this.#read(worker, start, signal));
    this.#last = turn.catch(() => {});
    return await turn;
  }

  async #read(worker: WorkerKey, start: U64 | null, signal: AbortSignal): Promise<Recovered> {
    signal.throwIfAborted();
    const source = this.#deps.open();
    const from = start ?? BigInt(this.#deps.eventIdsStartAt(worker) ?? 0);
    try {
      const events = await withDeadline(eventsFrom(source, worker, from), deadlineMs, "reading a rank's events once more");
      const cursor = events.at(-1)?.event.event_id;
      if (cursor === undefined) throw missing(worker, from);
      return { kind: start === null ? "dump" : "events", events, cursor };
    } finally {
      source.close();
    }
  }
}

/** The rank's events from an id on, up to what the stream holds now, without a gap. */
async function eventsFrom(source: EventSource, worker: WorkerKey, from: U64): Promise<RouterEvent[]> {
  const events: RouterEvent[] = [];
  let next = from;
  let blocks = 0;
  for await (const item of source) {
    if (item.kind === "caught_up") return events;
    if (item.kind !== "message") continue;
    for (const event of eventsOf(item, worker)) {
      const id = event.event.event_id;
      if (id < next) continue;
      if (id > next) throw missing(worker, next);
      events.push(event);
      next++;
      blocks += blocksIn(event);
      if (blocks > blocksMax) throw new AppError("overloaded", "a rank's events are too many to be read once more");
    }
  }
  return events;
}

/** Messages that cannot be decoded were counted when they came. */
function eventsOf({ bytes }: EventMessage, { workerId, dpRank }: WorkerKey): readonly RouterEvent[] {
  try {
    return decodeEventMessage(bytes).events.filter(({ worker_id, event }) => worker_id === workerId && event.dp_rank === dpRank);
  } catch {
    return [];
  }
}

function missing(worker: WorkerKey, eventId: U64): AppError {
  const details = { ...factsOf(worker), event_id: `${eventId}` };
  return new AppError("no_instances", "an event is missing in the stream, too, and nobody can be asked for it", { details });
}
