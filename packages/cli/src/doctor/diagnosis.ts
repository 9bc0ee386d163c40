// The doctor's rules: what a cluster looks like → what is wrong with it and what to do. Pure.
import { indexQueryEndpoint, stringifyJson } from "@mm-router/protocol";
import { type ClusterView, type Member, membersOf } from "@mm-router/runtime";

export interface Finding {
  readonly level: "ok" | "note" | "warning" | "error";
  readonly sentence: string;
  readonly remedy?: string;
}

export interface DoctorPlace {
  readonly namespace: string;
  readonly routerComponent: string;
  readonly workerComponent: string;
}

/** All findings, the order is that of a request's way: workers, indexer, router. */
export function diagnose(view: ClusterView, place: DoctorPlace): Finding[] {
  const members = membersOf(view).filter(({ instance }) => instance.address.namespace === place.namespace);
  const routers = members.filter(({ instance }) => instance.address.component === place.routerComponent);
  const workers = workersOf(members, routers, place);
  return [
    ...unreadableFindings(view),
    ...workerFindings(workers, place),
    ...blockSizeFindings(workers, routers),
    ...planeFindings([...workers, ...routers]),
    ...eventFindings(view, workers),
    ...indexerFindings(view, workers, place),
    ...routerFindings(routers, place),
  ];
}

/** As mm-router finds them: under the named component, else the one whose cards serve the routers' model. */
function workersOf(members: readonly Member[], routers: readonly Member[], { workerComponent, routerComponent }: DoctorPlace): Member[] {
  const others = members.filter(({ instance }) => instance.address.component !== routerComponent);
  const named = others.filter(({ instance }) => instance.address.component === workerComponent);
  if (named.length > 0) return named;
  const names = new Set(routers.flatMap(({ entry }) => [entry.card.display_name, `${entry.card.display_name}__internal`]));
  return others.filter(({ entry }) => names.has(entry.card.display_name));
}

function unreadableFindings({ unreadable }: ClusterView): Finding[] {
  return unreadable.map(({ key, reason }) => ({
    level: "warning",
    sentence: `${key} cannot be read: ${reason}`,
    remedy: "end the process that wrote it, or delete the key",
  }));
}

function workerFindings(workers: readonly Member[], { namespace, workerComponent }: DoctorPlace): Finding[] {
  if (workers.length === 0) {
    return [
      {
        level: "error",
        sentence: `no worker is registered under dyn://${namespace}.${workerComponent}`,
        remedy:
          "start workers (./mmr launcher), or name their component with --downstream-component (≥ 1.4 register as `backend` by themselves)",
      },
    ];
  }
  const releases = [...new Set(workers.map(({ release }) => release))].sort();
  const component = workers[0]!.instance.address.component;
  const found: Finding = {
    level: "ok",
    sentence: `${count(workers.length, "worker")} under ${namespace}.${component}, release ${releases.join(", ")}`,
  };
  const simulated = workers.filter(isSimulated);
  if (simulated.length === 0) return [found];
  return [
    found,
    {
      level: "warning",
      sentence: `${count(simulated.length, "worker")} SIMULATED: no model is computed, answers are made up`,
      remedy: "start real ones with ENGINE=trtllm",
    },
  ];
}

/** The stand-in says so in its card. */
function isSimulated({ entry }: Member): boolean {
  return stringifyJson(entry.card.runtime_config ?? {}).includes("simulated");
}

function blockSizeFindings(workers: readonly Member[], routers: readonly Member[]): Finding[] {
  const sizesOf = (members: readonly Member[]): number[] =>
    [...new Set(members.map(({ entry }) => entry.card.kv_cache_block_size))].sort((a, b) => a - b);
  const ofWorkers = sizesOf(workers);
  const ofRouters = sizesOf(routers);
  if (ofWorkers.length === 0 || ofRouters.length === 0) return [];
  if (ofWorkers.length === 1 && ofRouters.length === 1 && ofWorkers[0] === ofRouters[0])
    return [{ level: "ok", sentence: `block size ${ofWorkers[0]} everywhere` }];
  return [
    {
      level: "error",
      sentence: `block sizes differ: workers ${ofWorkers.join(", ")}, mm-router ${ofRouters.join(", ")}: what differs is routed by load alone`,
      remedy: "give mm-router the workers' --block-size (a card of ≥ 1.4 shows the engine's own, whatever --kv-block-size said)",
    },
  ];
}

function planeFindings(members: readonly Member[]): Finding[] {
  const planes = [...new Set(members.map(({ instance }) => instance.transport.kind))].sort();
  if (planes.length < 2) return [];
  return [
    {
      level: "warning",
      sentence: "some processes are called over NATS and some over TCP: ours can do both, Dynamo's own callers cannot",
      remedy: "set DYN_REQUEST_PLANE to one value for all processes (Dynamo's default is tcp, the launch scripts set nats)",
    },
  ];
}

function eventFindings({ channels }: ClusterView, workers: readonly Member[]): Finding[] {
  const places = new Set(workers.map(({ instance }) => `${instance.address.namespace}/${instance.address.component}`));
  const own = channels.filter(({ topic, namespace, component }) => topic === "kv-events" && places.has(`${namespace}/${component}`));
  const ways = [...Map.groupBy(own, ({ kind }) => (kind === "Zmq" ? "ZMQ, bridged by whoever indexes" : "NATS"))];
  return ways.map(([way, { length }]) => ({ level: "ok", sentence: `${count(length, "KV event channel")} on ${way}` }));
}

function indexerFindings({ instances }: ClusterView, workers: readonly Member[], { namespace, workerComponent }: DoctorPlace): Finding[] {
  const component = workers[0]?.instance.address.component ?? workerComponent;
  const indexers = instances.filter(
    ({ address }) => address.namespace === namespace && address.component === component && address.endpoint === indexQueryEndpoint,
  );
  if (indexers.length > 0) return [{ level: "ok", sentence: `${count(indexers.length, "indexer")} registered` }];
  return [
    {
      level: "note",
      sentence: `no indexer is registered under ${namespace}.${component}: each mm-router keeps an index of its own, or (--index served) none`,
      remedy: `one for all that start after it: ./mmr indexer --namespace ${namespace} --component ${component}`,
    },
  ];
}

function routerFindings(routers: readonly Member[], { namespace, routerComponent }: DoctorPlace): Finding[] {
  if (routers.length === 0) {
    return [
      {
        level: "error",
        sentence: `no mm-router is registered under ${namespace}.${routerComponent}`,
        remedy: "./mmr mm-router --model MODEL",
      },
    ];
  }
  const cards = new Set(routers.map(({ entry }) => stringifyJson(entry.card)));
  const found: Finding = {
    level: "ok",
    sentence: `${count(routers.length, "mm-router")} for ${[...new Set(routers.map(({ entry }) => entry.card.display_name))].join(", ")}`,
  };
  if (cards.size === 1) return [found];
  return [
    found,
    {
      level: "error",
      sentence: "the mm-routers' cards differ: frontends drop all but the first",
      remedy: "give all replicas the same flags and the same model files",
    },
  ];
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

/** What routers saw of the blocks that workers publish for prompts with images. */
export interface PredictionTally {
  readonly workerId: string;
  readonly imageDialect: string;
  readonly exact: number;
  readonly different: number;
  readonly unseen: number;
}

/** Predicted against published, worker by worker; nothing where no prompt with images was compared. */
export function predictionFindings(tallies: readonly PredictionTally[]): Finding[] {
  return tallies.flatMap(({ workerId, imageDialect, exact, different, unseen }): Finding[] => {
    const compared = exact + different;
    const where = `worker ${workerId} (${imageDialect})`;
    if (different > 0) {
      return [
        {
          level: "warning",
          sentence: `${where}: ${different} of ${count(compared, "prompt")} with images were published otherwise than predicted`,
          remedy:
            "give mm-router the worker's model files (preprocessor_config.json decides the number of tokens) and leave MMR_IMAGE_DIALECT at auto; the router's log names the first block that differed",
        },
      ];
    }
    if (compared > 0) return [{ level: "ok", sentence: `${where}: ${count(compared, "prompt")} with images published as predicted` }];
    return unseen === 0
      ? []
      : [{ level: "note", sentence: `${where}: ${count(unseen, "prompt")} with images compared, nothing seen published` }];
  });
}
