// The table of facts per release line of Dynamo. Nothing outside this file compares versions: code asks for a fact by name.
//
// A line stands for its tested release (1.4 → 1.4.2). Each fact is a row of steps: from which line on it has which value.
//
//   leaseTtlSeconds   { "0.7": 10, "1.6": 30 }      0.7 … 1.5 → 10, 1.6 → 30
//
// How each fact is known stands with the row. "Seen" = in running processes of all six lines 0.9 … 1.6, recorded in the
// golden file named; "source" = read in the release's source, not executed.
import { AppError } from "./errors.ts";
import type { Instance } from "./discovery/instance.ts";
import type { ModelCard } from "./discovery/model-card.ts";
import type { EventNaming, RecoveryNaming } from "./names.ts";

export const releaseLines = ["0.7", "0.9", "1.0", "1.2", "1.4", "1.5", "1.6"] as const;
export type ReleaseLine = (typeof releaseLines)[number];

/** What stands for an image in the tokens that a worker's events hash. */
export type ImageDialect = "none" | "oov-s1" | "pad" | "in-vocab";

export interface Dialect {
  readonly line: ReleaseLine;
  /** The release that the facts were seen with. */
  readonly release: string;

  // discovery
  /** TTL that a process asks of etcd for its lease. */
  readonly leaseTtlSeconds: number;
  /** The codec a worker advertises in its instance record; undefined: the member does not exist, bodies are JSON. */
  readonly advertisedCodec: "msgpack" | undefined;
  readonly instanceHasDeviceType: boolean;
  /** `short` = `{id}/{endpoint}`, `long` = `{id}/{namespace}/{component}/{endpoint}`. */
  readonly tcpPath: "short" | "long";
  /** A card's member without which a frontend drops it, besides those that all need. */
  readonly cardNeedsContextLength: boolean;
  /** A frontend drops a card whose file has another BLAKE3 digest than the card says. */
  readonly verifiesCardChecksums: boolean;
  /** A frontend lists a model whose card has no instance. */
  readonly listsModelWithoutInstance: boolean;
  readonly listsCardAliases: boolean;
  /** `dynamo.trtllm` without `--endpoint` registers under this component. */
  readonly defaultWorkerComponent: string;

  // request plane
  /** A worker decodes MessagePack bodies; one that does not stays silent for ever. */
  readonly readsMsgpack: boolean;
  /** Callers send `request-id` and `x-frontend-send-ts-ns`. */
  readonly sendsRequestHeaders: boolean;
  /** What a reader looks at in an error item; `classified` adds class, reason and public text. */
  readonly errorForm: "comment" | "error" | "classified";
  /** `error_type` values a reader takes; with `basic`, `{"Backend": …}` other than EngineShutdown is a decode error. */
  readonly errorTypes: "none" | "basic" | "backend";
  /** After a prologue error a caller sets the instance aside for about 5 s. */
  readonly prologueErrorInhibits: boolean;
  /** A caller takes the ack text of an overloaded worker as an answer instead of waiting for ever. */
  readonly understandsOverloadAck: boolean;
  /** What a worker does on `kill`: a sentinel, nothing until the caller closes, or it closes at once. */
  readonly onKill: "sentinel" | "waits" | "closes";

  // the TRT-LLM worker
  /** The engine stops computing when the caller leaves; otherwise the load stays until the stream would have ended. */
  readonly abortsOnCancel: boolean;
  /** A request that the engine refuses before it starts ends the worker process. */
  readonly diesOnBadRequests: boolean;
  /** With `n` > 1 all choices are streamed, not the first alone. */
  readonly streamsAllChoices: boolean;
  /** `extra_args.mm_hashes` name the images for engine and events. */
  readonly readsMmHashes: boolean;
  /** `mm_processor_kwargs` of a request change what the image processor does. */
  readonly honoursProcessorOptions: boolean;
  /** Image prompts are rebuilt from `extra_args.messages`; `token_ids` are ignored then. */
  readonly readsImagePromptFromMessages: boolean;
  /** The worker's image fetcher does not look at the address it dials. */
  readonly fetchesPrivateAddresses: boolean;
  readonly fetchesHttpImages: boolean;
  /** Base64 of `data:` URLs: standard alphabet and correct padding only. */
  readonly strictBase64: boolean;
  /** Dialect of an aggregated worker whose model type the release substitutes (`padModelTypes`). */
  readonly imageDialect: ImageDialect;
  /** Dialect of all its other workers with images. */
  readonly otherImageDialect: ImageDialect;
  /** Scheme of the image's hash when the request names none. */
  readonly imageHash: "none" | "S1" | "S2" | "S3";
  /** A block that lies in an image's range but has no placeholder of it: its infos are dropped, or appended. */
  readonly padBlockWithoutRun: "dropped" | "appended";
  /** Flags that make a worker publish KV events and metrics. */
  readonly publishFlags: readonly string[];
  /** The status server tells an endpoint's own readiness only when its environment says so. */
  readonly endpointHealthIsOptIn: boolean;

  // KV events
  readonly eventNaming: EventNaming;
  /** Where workers publish when nothing is configured. */
  readonly eventTransport: "jetstream" | "nats" | "zmq";
  /** Last token of the JetStream subject; undefined: no JetStream. */
  readonly jetStreamSubject: "queue" | "kv-events" | undefined;
  /** A message's payload: one event, or a list of them. */
  readonly eventPayload: "event" | "list";
  /** First id of a rank; undefined: the engine's own numbering. */
  readonly eventIdsStartAt: number | undefined;
  readonly eventHasMmInfo: boolean;
  readonly eventHasStorageTier: boolean;
  readonly eventHasResidencyDomain: boolean;
  /** `publisher_id` of an envelope: the instance id, or a random number per rank. */
  readonly publisherId: "instance" | "random";
  /** `cleared` removes the blocks of all ranks of the worker id, or of the event's rank. */
  readonly clearedScope: "worker" | "rank";
  /** Removals are reference-counted by the publisher; empty ones are not published. */
  readonly countsRemovals: boolean;

  // recovery
  readonly recoveryNaming: RecoveryNaming;
  readonly recoveryNeedsDpRank: boolean;
  /** An answer says which event id it reflects. */
  readonly recoveryTellsLastEvent: boolean;

  // block hashes
  readonly hashesLora: boolean;
  readonly hashesEagle: boolean;
  readonly hashesCacheSalt: boolean;

  // the upstream router
  /** Terms of the router's cost: `weight` = overlap_score_weight alone, `credit` = credit, scale and decay. */
  readonly costForm: "weight" | "credit";
  /** Among equal costs: the smaller tree, then random; or random. */
  readonly costTies: "tree-size" | "random";
  /** Active blocks are counted with image content. */
  readonly activeBlocksKnowImages: boolean;
  /** What a router tells others about a request: tokens and overlap, or what is left to prefill. */
  readonly sequenceForm: "overlap" | "hint";
  readonly sequenceHasLora: boolean;
  /** Over ZMQ a message is a list of such events. */
  readonly sequenceListsOverZmq: boolean;

  // the frontend
  /** Hex digits of the `extra_args.mm_hashes` that a frontend sends; 0: none. */
  readonly frontendMmHashDigits: 0 | 16 | 64;
  /** A frontend empties the URLs of `data:` images in `extra_args.messages`. */
  readonly blanksDataUrls: boolean;
}

/** Model types whose image placeholders ≥ 1.4 publishers replace by pad values. Source: Dynamo 1.4.2 … 1.6.1, dynamo/trtllm. */
export const padModelTypes: ReadonlySet<string> = new Set(["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "kimi_k25"]);

/** From which line on a fact has which value; the first line always has one. */
type Steps<T> = { readonly "0.7": T } & { readonly [line in ReleaseLine]?: T };

const table: { readonly [fact in Exclude<keyof Dialect, "line">]: Steps<Dialect[fact]> } = {
  release: { "0.7": "0.7.1", "0.9": "0.9.1", "1.0": "1.0.2", "1.2": "1.2.1", "1.4": "1.4.2", "1.5": "1.5.1", "1.6": "1.6.1" },

  // Seen: granted TTLs in etcd, of all lines.
  leaseTtlSeconds: { "0.7": 10, "1.6": 30 },
  // Seen: wire/discovery.json, all lines.
  advertisedCodec: { "0.7": undefined, "1.4": "msgpack" },
  instanceHasDeviceType: { "0.7": false, "1.2": true },
  tcpPath: { "0.7": "short", "1.6": "long" },
  // Seen: wire/card-acceptance.json; 0.7 assumed like 0.9.
  cardNeedsContextLength: { "0.7": true, "1.4": false },
  verifiesCardChecksums: { "0.7": false, "1.2": true },
  listsModelWithoutInstance: { "0.7": true, "1.0": false },
  listsCardAliases: { "0.7": false, "1.4": true },
  // Seen: worker/mm-*.json, all lines.
  defaultWorkerComponent: { "0.7": "tensorrt_llm", "1.4": "backend" },

  // Seen: wire/endpoint-*.json (a msgpack request to each).
  readsMsgpack: { "0.7": false, "1.4": true },
  // Seen: wire/frontend-to-tokens-worker.json.
  sendsRequestHeaders: { "0.7": false, "1.2": true },
  // Seen: wire/endpoint-*.json (exceptions), wire/worker-outcome-to-http.json.
  errorForm: { "0.7": "comment", "1.0": "error", "1.6": "classified" },
  errorTypes: { "0.7": "none", "1.0": "basic", "1.2": "backend" },
  prologueErrorInhibits: { "0.7": false, "1.2": true },
  understandsOverloadAck: { "0.7": false, "1.4": true },
  // Seen: wire/cancel.json.
  onKill: { "0.7": "sentinel", "0.9": "waits", "1.2": "closes" },

  // Seen: worker/cancel-*.json (0.9, 1.0, 1.6); 1.2 and 1.5 source.
  abortsOnCancel: { "0.7": false, "1.2": true },
  // Seen: worker/errors-*.json, worker/direct-*.json.
  diesOnBadRequests: { "0.7": true, "1.6": false },
  // Seen: worker/direct-*.json (n = 2).
  streamsAllChoices: { "0.7": false, "1.2": true },
  // Seen: worker/mm-*.json (engine_requests).
  readsMmHashes: { "0.7": false, "1.4": true },
  // Source: worker of 1.4.2 … 1.6.1.
  honoursProcessorOptions: { "0.7": false, "1.6": true },
  // Seen: worker/mm-*.json (engine_requests).
  readsImagePromptFromMessages: { "0.7": true, "1.0": false },
  // Seen: multimodal/ssrf.json, multimodal/data_urls.json.
  fetchesPrivateAddresses: { "0.7": true, "1.2": false },
  fetchesHttpImages: { "0.7": true, "1.2": false },
  strictBase64: { "0.7": false, "1.2": true },
  // Seen: worker/mm-*.json; the engine behind them was a stand-in, its part is source.
  imageDialect: { "0.7": "none", "1.0": "oov-s1", "1.4": "pad" },
  otherImageDialect: { "0.7": "none", "1.0": "oov-s1", "1.4": "in-vocab" },
  imageHash: { "0.7": "none", "1.0": "S1", "1.2": "S2", "1.4": "S3" },
  // Seen: kv/pad.json.
  padBlockWithoutRun: { "0.7": "dropped", "1.5": "appended" },
  // Seen: `--help` and start of each line's worker; the old flag is an alias with a warning from 1.4 on, and both in one from 1.6 on.
  publishFlags: {
    "0.7": ["--publish-events-and-metrics"],
    "1.4": ["--publish-kv-events"],
    "1.6": ["--publish-kv-events", "--publish-metrics"],
  },
  // Seen: 1.4 logs that the two variables are gone.
  endpointHealthIsOptIn: { "0.7": true, "1.4": false },

  // Seen: kv/events-wire.json, all lines, for the rest of this group.
  eventNaming: { "0.7": "flat", "1.4": "scoped" },
  eventTransport: { "0.7": "jetstream", "1.0": "nats", "1.4": "zmq" },
  jetStreamSubject: { "0.7": "queue", "0.9": "kv-events", "1.4": undefined },
  eventPayload: { "0.7": "event", "1.4": "list" },
  eventIdsStartAt: { "0.7": undefined, "1.0": 0, "1.2": 1 },
  eventHasMmInfo: { "0.7": false, "0.9": true },
  eventHasStorageTier: { "0.7": false, "1.2": true },
  eventHasResidencyDomain: { "0.7": false, "1.5": true },
  publisherId: { "0.7": "instance", "1.4": "random" },
  clearedScope: { "0.7": "worker", "1.4": "rank" },
  countsRemovals: { "0.7": false, "1.2": true },

  // Seen: kv/indexer-query.json.
  recoveryNaming: { "0.7": undefined, "0.9": "component", "1.0": "rank", "1.4": "publisher" },
  recoveryNeedsDpRank: { "0.7": false, "1.4": true },
  recoveryTellsLastEvent: { "0.7": false, "1.2": true },

  // Seen: kv/hashes.json.
  hashesLora: { "0.7": false, "1.0": true },
  hashesEagle: { "0.7": false, "1.2": true },
  hashesCacheSalt: { "0.7": false, "1.4": true },

  // Seen: kv/selector.json (0.9, 1.0, 1.4, 1.5, 1.6). 1.2 by its configuration, which has the credit fields.
  costForm: { "0.7": "weight", "1.2": "credit" },
  costTies: { "0.7": "tree-size", "1.2": "random" },
  activeBlocksKnowImages: { "0.7": false, "1.4": true },
  // Seen: kv/load-and-sync.json, 0.9 … 1.6; 0.7 assumed like 0.9.
  sequenceForm: { "0.7": "overlap", "1.2": "hint" },
  sequenceHasLora: { "0.7": false, "1.0": true },
  // Seen: routers of 1.2.1, 1.4.2 and 1.6.1 with DYN_EVENT_PLANE=zmq.
  sequenceListsOverZmq: { "0.7": false, "1.4": true },

  // Seen: multimodal/frontend_requests.json.
  frontendMmHashDigits: { "0.7": 0, "1.2": 64, "1.4": 16 },
  blanksDataUrls: { "0.7": false, "1.6": true },
};

const dialects: ReadonlyMap<ReleaseLine, Dialect> = new Map(releaseLines.map((line) => [line, dialectFromTable(line)]));

/** The facts of a release ("1.4.2", "1.4") or of a line. A release between two lines counts as the older, one beyond both ends as the nearest. */
export function dialectOf(release: string): Dialect {
  return dialects.get(lineOf(release))!; // every line has one
}

/**
 * The line of the release that a worker runs: nothing in its records names it, but they differ.
 * Checked against the records of all six lines (worker/mm-*.json). The first sign that fits decides. From 1.0 on a card alone is enough:
 * its worker writes it before the instance record, and `device_type` there is optional.
 *
 * @param instance the record of its serving endpoint, where it is known already
 */
export function detectRelease(instance: Instance | undefined, card: ModelCard): ReleaseLine {
  const config = card.runtime_config ?? {};
  const segments = instance?.transport.kind === "tcp" ? instance.transport.path.split("/").length : 0;
  if ((typeof config["structural_tag"] === "object" && config["structural_tag"] !== null) || segments === 4) return "1.6";
  if (config["tool_call_arguments_format"] !== undefined) return "1.5";
  if (card.worker_type !== undefined || instance?.codec !== undefined) return "1.4";
  if (instance?.deviceType !== undefined || config["enable_eagle"] !== undefined) return "1.2";
  if (config["data_parallel_start_rank"] !== undefined) return "1.0";
  return "0.9";
}

function lineOf(release: string): ReleaseLine {
  const wanted = releaseNumber(release);
  if (wanted === undefined) throw new AppError("configuration", `"${release}" is no Dynamo release`);
  return releaseLines.findLast((line) => releaseNumber(line)! <= wanted) ?? releaseLines[0];
}

/** "1.4.2" → 1004, so that 1.10 comes after 1.9; undefined for another form. */
function releaseNumber(release: string): number | undefined {
  const match = /^v?(\d{1,3})\.(\d{1,3})(?:[.\-+a-z].*)?$/.exec(release);
  return match === null ? undefined : Number(match[1]) * 1000 + Number(match[2]);
}

function dialectFromTable(line: ReleaseLine): Dialect {
  const facts = Object.entries(table).map(([fact, steps]) => [fact, valueAt(steps, line)]);
  return Object.freeze({ line, ...Object.fromEntries(facts) }) as Dialect;
}

function valueAt(steps: Steps<unknown>, line: ReleaseLine): unknown {
  const upTo = releaseLines.slice(0, releaseLines.indexOf(line) + 1);
  return steps[upTo.findLast((candidate) => candidate in steps)!]; // "0.7" is always there
}
