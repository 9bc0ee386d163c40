// One look at the running system: who stands in etcd, and what our processes count.
//
//   discovery ─▶ records ─▶ components that serve `mmr_metrics` ─▶ metrics of each of their processes
//
// Only processes of ours tell: workers and real routers are seen through what our routers and indexers know of them.
import { type EndpointAddress, indexQueryEndpoint } from "@mm-router/protocol";
import { listedKeys } from "../discovery/index.ts";
import type { Runtime } from "../runtime.ts";
import { metricsEndpoint } from "../service/index.ts";
import { type ClusterView, clusterView, membersOf } from "./cluster-view.ts";
import { type ProcessMetrics, processMetrics } from "./process-metrics.ts";

export interface Look {
  /** ms, of a clock that never goes back. */
  readonly atMs: number;
  readonly routers: readonly ProcessMetrics[];
  /** Whoever keeps an index: those that serve it, then routers with one of their own. */
  readonly indexers: readonly ProcessMetrics[];
  /** Live workers by id, with the release that their records show. */
  readonly workers: ReadonlyMap<string, string>;
}

export type Component = Pick<EndpointAddress, "namespace" | "component">;

/** Which part of the system is looked at. */
export interface LookScope {
  readonly namespace: (name: string) => boolean;
  /** Whether a component that tells its metrics and serves no index is to be asked: those are routers. */
  readonly router: (component: Component) => boolean;
}

export interface FleetLook extends Look {
  readonly records: ClusterView;
}

export async function lookAtFleet(runtime: Runtime, scope: LookScope): Promise<FleetLook> {
  const records = clusterView(await listedKeys(runtime.discovery, "v1/"));
  const telling = componentsOf(records, metricsEndpoint).filter(({ namespace }) => scope.namespace(namespace));
  const ofIndexes = new Set(componentsOf(records, indexQueryEndpoint).map(nameOf));
  const indexes = telling.filter((component) => ofIndexes.has(nameOf(component)));
  const others = telling.filter((component) => !ofIndexes.has(nameOf(component)) && scope.router(component));
  const [routers = [], served = []] = await Promise.all([others, indexes].map((components) => metricsOf(runtime, components)));
  const indexers = [...served, ...routers.filter(keepsIndex)];
  const members = membersOf(records).filter(({ instance }) => scope.namespace(instance.address.namespace));
  const workers = new Map(members.map(({ instance, release }) => [`${instance.instanceId}`, release]));
  return { atMs: performance.now(), routers, indexers, workers, records };
}

const keepsIndex = ({ samples }: ProcessMetrics): boolean => samples.some(({ name }) => name === "mm_router_indexer_blocks");

async function metricsOf(runtime: Runtime, components: readonly Component[]): Promise<ProcessMetrics[]> {
  return (await Promise.all(components.map((component) => processMetrics(runtime, component)))).flat();
}

/** Components that serve an endpoint, each once. */
function componentsOf({ instances }: ClusterView, endpoint: string): Component[] {
  const serving = instances.filter(({ address }) => address.endpoint === endpoint);
  return [...new Map(serving.map(({ address }) => [nameOf(address), address])).values()];
}

const nameOf = ({ namespace, component }: Component): string => `${namespace}/${component}`;
