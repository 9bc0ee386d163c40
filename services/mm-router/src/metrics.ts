// What this process counts. Requests, durations and streams as such are counted by the runtime (dynamo_component_*).
import type { RankLoad, ReplicaOutcome } from "@mm-router/kv";
import { type DegradeReason, degradeReasons, type WorkerKey } from "@mm-router/protocol";
import type { Metrics } from "@mm-router/runtime";
import type { ImageMetrics } from "./multimodal/index.ts";
import { type Quality, qualityKinds } from "./routing/degrade.ts";
import type { Sentinel } from "./routing/sentinel.ts";
import type { Worker } from "./workers/worker.ts";

/** How a request went: `ended` well; the others say whose doing it was. */
export type Outcome = "ended" | "worker_failed" | "worker_lost" | "client_closed" | "refused" | "not_taken" | "error";

export interface RouterMetrics {
  finished(outcome: Outcome): void;
  degraded(reason: DegradeReason): void;
  /** A worker did not take a request; it went to the next one. */
  retried(): void;
  /** A worker was chosen `seconds` after the request came. */
  chosen(seconds: number, quality: Quality, blocks: { asked: number; attainable: number; available: number; held: number }): void;
  /** A worker said how many prompt tokens it had in its cache. */
  delivered(tokens: number): void;
  firstToken(seconds: number): void;
  workers(count: number): void;
}

/** From 0.5 ms: text is routed in less than a millisecond, a cold image takes as long as its download. */
const routingBuckets = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
const firstTokenBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export function routerMetrics(metrics: Metrics): RouterMetrics {
  const count = (name: string, help: string) => metrics.boundCounter(name, help, []).of({});
  const seconds = (name: string, help: string, buckets: readonly number[]) => metrics.boundHistogram(name, help, buckets, []).of({});
  const requests = metrics.boundCounter("mm_router_requests_total", "Requests by how they ended", ["outcome"]);
  const degraded = metrics.counter("mm_router_degraded_total", "Requests routed on less than everything, by reason", ["reason"]);
  const qualities = metrics.boundCounter("mm_router_decisions_total", "Choices of a worker, by how sure the prompt's blocks were", [
    "quality",
  ]);
  const decisions = new Map(qualityKinds.map((quality) => [quality, qualities.of({ quality })])); // all, so that an increase from nothing is seen
  const retries = metrics.counter("mm_router_retries_total", "Requests that a worker did not take and that went to the next one");
  const blocksAsked = count("mm_router_blocks_total", "Full blocks of routed prompts");
  const attainable = count(
    "mm_router_attainable_blocks_total",
    "Blocks of routed prompts that were in an earlier prompt of this router: what caches without limits would hold",
  );
  const available = count("mm_router_available_blocks_total", "Blocks of routed prompts that the best worker for each already held");
  const delivered = count("mm_router_delivered_tokens_total", "Prompt tokens that workers said they had in their cache");
  const blocksHeld = count("mm_router_overlap_blocks_total", "Blocks of routed prompts that the chosen worker already held");
  const routing = seconds("mm_router_routing_seconds", "From a request's arrival to the choice of its worker", routingBuckets);
  const firstToken = seconds("mm_router_time_to_first_token_seconds", "From arrival to the first tokens", firstTokenBuckets);
  const workers = metrics.gauge("mm_router_workers", "Live workers");
  for (const reason of Object.keys(degradeReasons)) degraded.inc({ reason }, 0); // as above
  return {
    finished: (outcome) => requests.of({ outcome }).add(1),
    degraded: (reason) => degraded.inc({ reason }),
    retried: () => retries.inc(),
    chosen(took, quality, { asked, attainable: seen, available: best, held }) {
      decisions.get(quality.kind)!.add(1); // every kind is in it
      routing.observe(took);
      blocksAsked.add(asked);
      attainable.add(seen);
      available.add(best);
      blocksHeld.add(held);
    },
    delivered: (tokens) => delivered.add(tokens),
    firstToken: (took) => firstToken.observe(took),
    workers: (count) => workers.set(count),
  };
}

/** What each live rank has running, as this router's books say (its replicas' share included where they tell). */
export function loadGauges(metrics: Metrics, workers: () => readonly Worker[], load: (rank: WorkerKey) => RankLoad): void {
  const gauge = (name: string, help: string, of: (load: RankLoad) => number): void =>
    metrics.askedGauges(name, help, ["worker_id", "dp_rank"], () =>
      workers().flatMap(({ ranks }) =>
        ranks.map((rank) => ({ labels: { worker_id: `${rank.workerId}`, dp_rank: `${rank.dpRank}` }, value: of(load(rank)) })),
      ),
    );
  gauge("mm_router_active_requests", "Requests that run on a rank", ({ activeRequests }) => activeRequests);
  gauge("mm_router_active_blocks", "Blocks that they use", ({ activeDecodeBlocks }) => activeDecodeBlocks);
  gauge("mm_router_active_prefill_tokens", "Tokens that are still to be prefilled", ({ activePrefillTokens }) => activePrefillTokens);
}

/** Asked whenever the metrics are read. */
export function sentinelGauges(metrics: Metrics, sentinel: Sentinel): void {
  metrics.askedGauges(
    "mm_router_image_predictions",
    "Prompts with images whose published blocks were compared with the predicted ones, per live worker",
    ["worker_id", "image_dialect", "verdict"],
    () => sentinel.tallies(),
  );
  metrics.askedGauge("mm_router_distrusted_workers", "Live workers whose images are routed by their text", () => sentinel.distrusted);
}

/** What is counted about other routers' load. */
export function replicaMetrics(metrics: Metrics): (outcome: ReplicaOutcome | "malformed") => void {
  const events = metrics.counter("mm_router_replica_events_total", "What other routers told of their requests, by what became of it", [
    "outcome",
  ]);
  return (outcome) => events.inc({ outcome });
}

const loadBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What the image analysis counts. */
export function imageMetrics(metrics: Metrics): ImageMetrics {
  const loads = metrics.histogram(
    "mm_router_image_load_seconds",
    "Finding out size and hashes of images, by where they came from",
    loadBuckets,
    ["from", "outcome"],
  );
  const decodes = metrics.histogram("mm_router_image_decode_seconds", "Decoding and hashing pixels", loadBuckets, ["outcome"]);
  return {
    loaded: (from, outcome, seconds) => loads.observe({ from, outcome }, seconds),
    decoded: (outcome, seconds) => decodes.observe({ outcome }, seconds),
  };
}
