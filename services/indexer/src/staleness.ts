// How old the index's knowledge is, told with every answer over HTTP; answers over the request plane keep upstream's shape.
//
//   log lag          stored messages that are not in the index yet, as of the last look at the stream (2 s)
//   silent seconds   since the last event of a rank; an idle worker is silent, too
import type { RankStatus } from "@mm-router/kv-indexer";
import type { WorkerStatus } from "./http.ts";

export interface StalenessDeps {
  readonly workers: () => readonly WorkerStatus[];
  /** Stored messages that are not in the index yet. */
  readonly lag: () => number;
}

/** Rank by rank, of all workers. */
export function stalenessOf({ workers, lag }: StalenessDeps): object {
  return {
    log_lag_messages: lag(),
    workers: Object.fromEntries(workers().map(({ workerId, ranks }) => [`${workerId}`, rankRows(ranks)])),
  };
}

/** In short: the lag, and how long ago the last event of any worker was. */
export function stalenessHeaders({ workers, lag }: StalenessDeps): Record<string, string> {
  const silences = workers().flatMap(({ ranks }) => ranks.flatMap(({ silentSeconds }) => silentSeconds ?? []));
  return {
    "x-mmr-log-lag-messages": `${lag()}`,
    ...(silences.length > 0 && { "x-mmr-silent-seconds": Math.min(...silences).toFixed(3) }),
  };
}

/** One row per dp rank. */
export function rankRows(ranks: readonly RankStatus[]): object {
  return Object.fromEntries(ranks.map((rank) => [rank.worker.dpRank, rankRow(rank)]));
}

function rankRow({ blocks, state, lastEventId, silentSeconds }: RankStatus): object {
  return { blocks, state, last_event_id: lastEventId ?? null, silent_seconds: silentSeconds ?? null };
}
