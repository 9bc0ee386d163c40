// Wires the page: where it is served, and where what it shows comes from.
//
//   records, metrics of our processes ─▶ fleet-watch ─▶ overview
//   mmr_decisions of the mm-routers ───▶ decision-lookup        └──▶ page-routes ─▶ admin listener, or `/` of the HTTP port
import { decisionsEndpoint, dynAddressOf, type EndpointAddress } from "@mm-router/protocol";
import { lookAtFleet, type Runtime, samplesOf, type ServiceDeps } from "@mm-router/runtime";
import type { FrontendConfig } from "../config.ts";
import { inferenceRoutes } from "../http/inference-routes.ts";
import type { ServerDeps } from "../http/server.ts";
import type { ModelSet } from "../models/model-set.ts";
import { isNamespaceWanted, type NamespaceFilter } from "../models/namespace-filter.ts";
import { type AdminListener, openAdminListener } from "./admin-listener.ts";
import { DecisionLookup } from "./decision-lookup.ts";
import { FleetWatch, type Moment } from "./fleet-watch.ts";
import { overviewOf } from "./overview.ts";
import type { ModelRow } from "./overview-shape.ts";
import type { PageDeps } from "./page-routes.ts";

export interface PageParts {
  readonly runtime: Runtime;
  readonly server: Pick<ServerDeps, "models" | "directory" | "registry" | "paths" | "modelList">;
  readonly service: ServiceDeps["service"];
}

export function pageDeps(config: FrontendConfig, { runtime, server, service }: PageParts): PageDeps {
  const filter: NamespaceFilter = { exact: config.namespace, prefix: config.namespacePrefix };
  const scope = { namespace: (name: string) => isNamespaceWanted(filter, name), router: () => true };
  const watch = new FleetWatch(async (): Promise<Moment> => {
    const [fleet, text] = await Promise.all([lookAtFleet(runtime, scope), server.registry.text()]);
    return { fleet, own: samplesOf(text) };
  });
  const remembering = (): EndpointAddress[] => {
    const all = server.directory.instances().map(({ address }) => address);
    const wanted = all.filter(({ endpoint, namespace }) => endpoint === decisionsEndpoint && scope.namespace(namespace));
    return [...new Map(wanted.map((address) => [dynAddressOf(address), address])).values()];
  };
  const facts = { version: service.version, chatPath: server.paths.chat, metricsPrefix: config.metricsPrefix };
  return {
    overview: async () => overviewOf(await watch.moments(), { ...facts, models: modelRows(server) }),
    decisions: new DecisionLookup(runtime, remembering),
  };
}

/** The listener of its own; undefined where the page is elsewhere, or nowhere. */
export async function openAdmin(config: FrontendConfig, server: ServerDeps, page: PageDeps): Promise<AdminListener | undefined> {
  if (config.page !== "admin") return undefined;
  const { chat: path } = server.paths;
  const route = inferenceRoutes(server).find(([served]) => served === path)![1]; // there is always one for chats
  const options = { host: config.adminHost, port: config.adminPort };
  return openAdminListener(options, { ...page, inference: server, chat: { path, route } });
}

function modelRows({ models, modelList }: PageParts["server"]): ModelRow[] {
  const names = models.names().filter((name) => modelList.listInternal || !name.endsWith("__internal"));
  return names.flatMap((name) => setRows(name, models)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function setRows(name: string, models: ModelSet): ModelRow[] {
  return models.named(name).map((set) => ({
    name,
    served_by: `${set.address.namespace}/${set.address.component}/${set.address.endpoint}`,
    instances: set.available().length,
    chats: set.kinds.has("chat"),
    context_length: set.contextLength,
    block_size: set.card.kv_cache_block_size,
  }));
}
