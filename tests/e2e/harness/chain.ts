// The whole chain of ours as processes, and the official OpenAI client in front of it.
//
//   openai ─► frontend ─► mm-router × 2 ─► simulated worker × 2        real nats-server, real etcd
//                             └─► indexer ◄── KV events ──┘
//
// Workers answer as long as a request wants (`max_tokens`), so a test decides whether a stream is over or still runs.
// Who served what is read from the counters of the processes, never from what an answer says.
import {
  type Cluster,
  type ClusterOptions,
  cluster,
  type HttpFrontend,
  metricOf,
  type OurProcess,
  type OurService,
  type Release,
} from "@mm-router/testkit";
import OpenAI from "openai";

/** Longer than any stream that a test lets run: 5 ms a token. */
const answerTokens = 4_000;

export interface Chain extends Cluster {
  readonly frontend: HttpFrontend & OurProcess;
  readonly indexer: OurService & { readonly url: string };
  readonly openai: OpenAI;
}

export interface ChainOptions extends Omit<ClusterOptions, "workers" | "frontends" | "indexer"> {
  /** Default 2. */
  readonly workers?: number;
  /** The Dynamo release that the workers play. */
  readonly playing?: Release;
}

export async function startChain({ workers: count = 2, playing = "1.4.2", ...options }: ChainOptions): Promise<Chain> {
  const workers = { count, args: ["--answer-tokens", `${answerTokens}`, "--release", playing] };
  const system = await cluster({ routers: 2, ...options, workers, indexer: true, frontends: ["ours"] });
  const frontend = system.frontends[0] as Chain["frontend"];
  const openai = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "none", maxRetries: 0, timeout: 30_000 });
  return { ...system, frontend, indexer: system.indexer!, openai };
}

/** Every process of ours. */
export function processesOf({ frontend, indexer, routers, simulatedWorkers }: Chain): readonly OurProcess[] {
  return [frontend, indexer, ...routers, ...simulatedWorkers];
}

/** Requests that each of the processes has taken so far. */
export async function requestsOf(services: readonly OurProcess[]): Promise<number[]> {
  return Promise.all(services.map((service) => metricOf(service, "dynamo_component_requests_total", generate)));
}

/** Requests that each of the processes is busy with. */
export async function runningIn(services: readonly OurProcess[]): Promise<number[]> {
  return Promise.all(services.map((service) => metricOf(service, "dynamo_component_inflight_requests", generate)));
}

/** Leading blocks that the routers' index knew to be held by the chosen workers, over all requests so far. */
export async function overlapBlocks({ routers }: Chain): Promise<number> {
  return sum(await Promise.all(routers.map((router) => metricOf(router, "mm_router_overlap_blocks_total"))));
}

/** Blocks that the indexer holds, over all workers. */
export const indexedBlocks = ({ indexer }: Chain): Promise<number> => metricOf(indexer, "mm_router_indexer_blocks");

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

const generate = { dynamo_endpoint: "generate" };
