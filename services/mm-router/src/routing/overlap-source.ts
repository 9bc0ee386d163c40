// Where it comes from what ranks hold: the index, what this router sent them, or both.
//
//   use_kv_events            index ── answers ──▶ scores, at least those of the last moments' requests (predicted ttl)
//                              └── does not ────▶ what was sent since it stopped answering
//   no use_kv_events         what was sent within the ttl
//
// Sequence hashes are computed here only where a prediction is kept: with an index that answers and no predicted ttl, nothing is.
import { ApproximateIndex, type OverlapScore, RankMap, sequenceHashes } from "@mm-router/kv";
import type { AskedIndex } from "@mm-router/kv-indexer";
import type { WorkerKey } from "@mm-router/protocol";
import type { Clock, IndexAnswer } from "@mm-router/runtime";

export interface OverlapSourceOptions {
  /** false: nobody is asked, what was sent is all that is known. */
  readonly useKvEvents: boolean;
  /** How long a block that was sent counts where nobody tells, ms. */
  readonly ttlMs: number;
  /** The same beside an index that answers, ms; undefined: its answer is all that counts. */
  readonly predictedTtlMs?: number | undefined;
  readonly entriesMax: number;
  readonly pruneTarget: number;
}

export class OverlapSource {
  private readonly options: OverlapSourceOptions;
  private readonly index: AskedIndex;
  private readonly clock: Clock;
  /** What was sent while nobody answers. */
  private standIn: ApproximateIndex | undefined;
  /** What was sent a moment ago. */
  private readonly recent: ApproximateIndex | undefined;

  constructor(options: OverlapSourceOptions, { index, clock }: { index: AskedIndex; clock: Clock }) {
    this.options = options;
    this.index = index;
    this.clock = clock;
    if (!options.useKvEvents) this.standIn = this.approximation(options.ttlMs);
    else if (options.predictedTtlMs !== undefined) this.recent = this.approximation(options.predictedTtlMs);
  }

  /** Never rejects, but for a caller that left (`client_closed`). */
  async query(...question: Parameters<AskedIndex["query"]>): Promise<IndexAnswer> {
    const [, blockHashes] = question;
    if (!this.options.useKvEvents) return { scores: this.standIn!.findMatches(sequenceHashes(blockHashes)) };
    const answer = await this.index.query(...question);
    if (answer.degraded !== undefined) {
      this.standIn ??= this.approximation(this.options.ttlMs);
      return { ...answer, scores: this.standIn.findMatches(sequenceHashes(blockHashes)) };
    }
    if (answer.tookMs !== undefined) this.standIn = undefined;
    if (this.recent === undefined) return answer;
    return { ...answer, scores: larger(answer.scores, this.recent.findMatches(sequenceHashes(blockHashes))) };
  }

  /** A request with these blocks goes to a rank. */
  routed(worker: WorkerKey, blockHashes: BigUint64Array): void {
    if (this.standIn === undefined && this.recent === undefined) return;
    const hashes = sequenceHashes(blockHashes);
    this.standIn?.routed(worker, hashes);
    this.recent?.routed(worker, hashes);
  }

  private approximation(ttlMs: number): ApproximateIndex {
    const { entriesMax, pruneTarget } = this.options;
    return new ApproximateIndex({ ttlMs, entriesMax, pruneTarget, now: () => this.clock.now() });
  }
}

/** Per rank the larger count. */
function larger(told: readonly OverlapScore[], predicted: readonly OverlapScore[]): OverlapScore[] {
  const most = new RankMap<OverlapScore>();
  for (const score of [...told, ...predicted]) {
    const known = most.get(score.worker);
    if (known === undefined || known.blocks < score.blocks) most.set(score.worker, score);
  }
  return [...most.values()];
}
