// Writes the index to the snapshot store, now and then and at the end, in slices between which queries and events go on.
//
//   every interval, if something happened:   positions ─▶ head ─▶ rank by rank: state, image ─▶ foot ─▶ store
//
// I1  Positions are taken before the first image and a rank's cursor before its image, so the events behind them bring a restored index to
//     what this one held when its last slice was drawn, and further.
// I2  A rank whose blocks changed by anything but its own events before the foot (forgotten, told anew by its worker, cleared with its
//     worker's other ranks) is left out.
import type { RadixTree } from "@mm-router/kv";
import type { WorkerKey } from "@mm-router/protocol";
import { type CapturedComponent, type Logger, pause, type StreamPosition, withDeadline } from "@mm-router/runtime";
import { setImmediate as turn } from "node:timers/promises";
import type { IndexerMetrics } from "../metrics.ts";
import { encodeSnapshotFrame, type RankState } from "./snapshot-form.ts";

/** What the writer asks of the ingest. */
export interface FollowedRanks {
  /** Counts whatever changes an index. */
  readonly changes: number;
  readonly ranks: readonly WorkerKey[];
  /** undefined: what the rank holds is just being asked for. */
  stateOf(worker: WorkerKey): (RankState & { readonly epoch: number }) | undefined;
}

export interface SnapshotOptions extends CapturedComponent {
  readonly snapshotIntervalS: number;
}

export interface SnapshotWriterDeps {
  readonly index: RadixTree;
  readonly ingest: FollowedRanks;
  readonly eventLog: { readonly positions: readonly StreamPosition[] };
  readonly store: { write(chunks: AsyncIterable<Uint8Array>): Promise<void> };
  readonly metrics: IndexerMetrics;
  readonly log: Logger;
}

/** The last snapshot must not hold up the end of the process for longer. */
const closeDeadlineMs = 10_000;

export class SnapshotWriter implements AsyncDisposable {
  readonly #options: SnapshotOptions;
  readonly #deps: SnapshotWriterDeps;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #written: number;
  #writtenMs: number | undefined;

  constructor(options: SnapshotOptions, deps: SnapshotWriterDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#written = deps.ingest.changes;
    this.#running = this.#run();
  }

  /** Of the last snapshot that this process wrote; undefined before the first. */
  get ageSeconds(): number | undefined {
    return this.#writtenMs === undefined ? undefined : (performance.now() - this.#writtenMs) / 1000;
  }

  /** Writes what happened since the last snapshot; never rejects. */
  async write(): Promise<void> {
    const { ingest, store, metrics, log } = this.#deps;
    const { changes } = ingest;
    if (changes === this.#written) return;
    try {
      const from = performance.now();
      await store.write(this.#frames());
      this.#written = changes;
      this.#writtenMs = performance.now();
      metrics.snapshot("written");
      log.debug("snapshot written", { ...this.#deps.index.size, duration_ms: Math.round(performance.now() - from) });
    } catch (error) {
      metrics.snapshot("failed");
      log.warn("snapshot not written; a restart takes longer", { error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await withDeadline(this.write(), closeDeadlineMs, "the last snapshot").catch(() => {}); // the one before stays
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      await pause(this.#options.snapshotIntervalS * 1000, signal);
      if (signal.aborted) return;
      await this.write();
    }
  }

  async *#frames(): AsyncGenerator<Uint8Array, void, void> {
    const { index, ingest, eventLog } = this.#deps;
    const { namespace, component } = this.#options;
    yield encodeSnapshotFrame({ kind: "head", head: { namespace, component, positions: eventLog.positions } });
    const drawn: (RankState & { readonly epoch: number })[] = [];
    for (const worker of ingest.ranks) {
      const state = ingest.stateOf(worker);
      if (state === undefined) continue;
      yield encodeSnapshotFrame({ kind: "rank", worker, entries: index.entriesOf(worker) });
      yield* this.#image(worker);
      drawn.push(state);
    }
    const ranks = drawn.filter(({ worker, epoch }) => ingest.stateOf(worker)?.epoch === epoch); // I2
    yield encodeSnapshotFrame({ kind: "foot", ranks });
  }

  async *#image(worker: WorkerKey): AsyncGenerator<Uint8Array, void, void> {
    for (const words of this.#deps.index.imageOf(worker)) {
      if (words.length > 0) yield encodeSnapshotFrame({ kind: "words", words });
      await turn();
    }
  }
}
