// Rows of what runs, as `mmr watch --json` and the page have them: shared with the script in the browser, so this file imports nothing.
export interface RouterRow {
  readonly router_id: string;
  readonly requests_per_second: number;
  readonly running: number;
  /** Requests that wait for a worker with less to prefill. */
  readonly queue: number;
  /** Blocks that the chosen workers held, of all that were asked for. */
  readonly hit_rate: number | null;
  /** The same for the best worker of each request. */
  readonly available_rate: number | null;
  readonly degraded_per_second: number;
}

export interface IndexerRow {
  readonly indexer_id: string;
  readonly blocks: number;
  readonly events_per_second: number;
  readonly queries_per_second: number;
  readonly log_lag_messages: number;
}

export interface WorkerRow {
  readonly worker_id: string;
  readonly dp_rank: number;
  readonly release: string | null;
  readonly requests: number;
  readonly active_blocks: number;
  readonly prefill_tokens: number;
  /** null: no indexer knows of the rank. */
  readonly blocks: number | null;
  readonly silent_seconds: number | null;
}
