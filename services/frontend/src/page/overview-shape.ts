// What the page is told, as JSON: shared with the script in the browser, so this file and the one it imports know nothing of Node.
import type { IndexerRow, RouterRow, WorkerRow } from "@mm-router/runtime/fleet-rows";

export interface Overview {
  /** Of this frontend. */
  readonly version: string;
  readonly chat_path: string;
  readonly models: readonly ModelRow[];
  readonly frontend: FrontendRow;
  readonly hits: HitBlocks;
  readonly routers: readonly RouterRow[];
  readonly indexers: readonly IndexerRow[];
  readonly workers: readonly PageWorker[];
  readonly degraded: readonly DegradedRow[];
  readonly cache: CacheSpread;
}

/** What this frontend offers under one name. */
export interface ModelRow {
  readonly name: string;
  /** `namespace/component/endpoint` of those who serve it. */
  readonly served_by: string;
  readonly instances: number;
  /** Whether a chat may be sent to it. */
  readonly chats: boolean;
  readonly context_length: number;
  readonly block_size: number;
}

export interface FrontendRow {
  readonly running: number;
  readonly requests_total: number;
  readonly errors_total: number;
  readonly tokens_total: number;
  readonly requests_per_second: number;
  readonly tokens_per_second: number;
}

/** Blocks of routed prompts since the routers started; each member is at most the one before, but for what workers know better. */
export interface HitBlocks {
  readonly asked: number;
  /** Had been in an earlier prompt: what caches without limits would hold. */
  readonly attainable: number;
  /** Held by the best worker for each request. */
  readonly available: number;
  /** Held by the chosen worker. */
  readonly captured: number;
  /** Found in its cache by the worker, as it says. */
  readonly delivered: number;
}

/** One rank of a worker. */
export interface PageWorker extends WorkerRow {
  readonly model: string | null;
  /** `namespace/component`. */
  readonly place: string | null;
  /** The engine's blocks, where its card tells them. */
  readonly capacity_blocks: number | null;
  /** Of `blocks`: those that another rank holds as well. */
  readonly shared_blocks: number | null;
  readonly health: WorkerHealth;
}

export interface WorkerHealth {
  readonly state: "ok" | "note" | "warning";
  readonly text: string;
}

export interface DegradedRow {
  readonly reason: string;
  /** What it means and what to do. */
  readonly meaning: string;
  readonly total: number;
  readonly per_second: number;
}

/** How often the same block is held: all of them once, `copies[n]` of them by n + 1 ranks (the last member: or more). */
export interface CacheSpread {
  readonly distinct_blocks: number;
  readonly copies: readonly number[];
}
