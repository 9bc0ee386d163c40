// An index in the asker's own process, asked as a served one is, but without a way between.
//
//   workers' events ─▶ KvIndexer ─▶ findMatches, when the question is asked
//
// What it costs instead: each process follows the events and keeps the blocks itself, and starts from the log and the workers alone.
import type { Clock, IndexAnswer } from "@mm-router/runtime";
import type { KvIndexer } from "./kv-indexer.ts";
import type { AskedIndex } from "./open-index.ts";

export class OwnIndex implements AskedIndex {
  readonly #kvIndexer: Pick<KvIndexer, "findMatches" | "metrics">;
  readonly #clock: Clock;

  constructor(kvIndexer: Pick<KvIndexer, "findMatches" | "metrics">, clock: Clock) {
    this.#kvIndexer = kvIndexer;
    this.#clock = clock;
  }

  /** Never rejects. */
  query(modelName: string, blockHashes: BigUint64Array): Promise<IndexAnswer> {
    if (blockHashes.length === 0) return Promise.resolve({ scores: [] });
    const from = this.#clock.now();
    const scores = this.#kvIndexer.findMatches(modelName, blockHashes);
    const tookMs = this.#clock.now() - from;
    this.#kvIndexer.metrics.query(scores === undefined ? "unknown_model" : "scores", tookMs / 1000);
    return Promise.resolve({ scores: scores ?? [], tookMs });
  }
}
