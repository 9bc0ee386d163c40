// What a request says about its way rather than about its text: ids, metadata, priority, session, the worker it wants.
//
//   x-dynamo-request-id: <uuid>                     the context id; else a new one
//   x-dynamo-meta-<k>                               metadata {k: v} of the request at the worker
//   x-tenant-id · cache_salt · nvext.cache_salt     cache salt, the first of them
//   x-dynamo-request-priority, -strict-priority     routing.priority and .priority_jump, .strict_priority
//   x-dynamo-session-id and others                  agent_context (agent-session.ts)
//   x-worker-instance-id, x-dynamo-worker-…         the instance that must serve it
//   x-dynamo-dp-rank, x-dp-rank, x-data-parallel-…  its data-parallel rank
//
// A header wins over nvext: a gateway in front speaks by headers. Source: Dynamo 1.6.1; evidence: golden frontend hdr.*, nv.*.
import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { AppError, type InstanceId, JsonFloat, type LosslessJson } from "@mm-router/protocol";
import { type AgentSession, agentSession } from "./agent-session.ts";
import { f32Json } from "./f32.ts";
import type { Nvext } from "./nvext.ts";
import type { JsonMap } from "./shape.ts";

const metadataMax = 64;

export interface HintOptions {
  /** Prefix of metadata headers, lower case (`DYN_METADATA_HEADER`). */
  readonly metadataPrefix: string;
  /** Whether `nvext` and the routing headers mean anything (`DYN_DISABLE_FRONTEND_NVEXT` turns them off). */
  readonly nvext: boolean;
}

/** Members of a request that hint at its way. */
export interface HintMembers {
  readonly cache_salt?: LosslessJson;
  readonly nvext?: Nvext;
}

export interface RequestHints {
  readonly metadata: Readonly<Record<string, string>>;
  readonly cacheSalt: string | undefined;
  readonly priority: number | undefined;
  readonly strictPriority: number | undefined;
  readonly session: AgentSession | undefined;
  /** The only instance that may serve the request. */
  readonly instanceId: InstanceId | undefined;
  readonly dpRank: number | undefined;
  readonly expectedOutputTokens: number | undefined;
}

/** @throws AppError with status 431 for more than 64 metadata headers */
export function requestHints(headers: IncomingHttpHeaders, members: HintMembers, options: HintOptions): RequestHints {
  const nvext = options.nvext ? members.nvext : undefined;
  const cacheSalt = members.cache_salt as string | undefined; // validated by then
  const routing = options.nvext ? headers : {};
  return {
    metadata: metadataOf(headers, options.metadataPrefix),
    cacheSalt: header(headers, "x-tenant-id") ?? cacheSalt ?? nvext?.cache_salt,
    priority: integerHeader(routing, "x-dynamo-request-priority") ?? nvext?.agent_hints?.priority,
    strictPriority: integerHeader(routing, "x-dynamo-request-strict-priority") ?? nvext?.agent_hints?.strict_priority,
    session: agentSession(routing),
    instanceId: instanceHeader(routing) ?? nvextInstance(nvext),
    dpRank: integerHeader(routing, "x-dynamo-dp-rank", "x-dp-rank", "x-data-parallel-rank") ?? nvext?.dp_rank,
    expectedOutputTokens: nvext?.agent_hints?.osl,
  };
}

/** The id that names this request on its way to the worker and back. */
export function contextIdOf(headers: IncomingHttpHeaders): string {
  const given = header(headers, "x-dynamo-request-id");
  return given !== undefined && /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(given) ? given : randomUUID();
}

/** `routing` of the worker's request; empty when nothing was asked. @param loraName the adapter to be used */
export function routingOf(hints: RequestHints, loraName: string | undefined): JsonMap {
  const { priority } = hints;
  return given({
    backend_instance_id: hints.instanceId,
    decode_worker_id: hints.instanceId,
    dp_rank: hints.dpRank,
    expected_output_tokens: hints.expectedOutputTokens,
    lora_name: loraName,
    priority_jump: priority === undefined ? undefined : new JsonFloat(priority, f32Json(priority)),
    priority,
    strict_priority: hints.strictPriority,
    cache_salt: hints.cacheSalt,
  });
}

function given(members: Readonly<Record<string, LosslessJson | undefined>>): JsonMap {
  return new Map(Object.entries(members).filter((member): member is [string, LosslessJson] => member[1] !== undefined));
}

function metadataOf(headers: IncomingHttpHeaders, prefix: string): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const name of Object.keys(headers)) {
    const key = name.startsWith(prefix) ? name.slice(prefix.length) : "";
    if (key !== "" && key !== "authorization") metadata[key] = header(headers, name)!;
  }
  if (Object.keys(metadata).length > metadataMax) {
    throw new AppError("invalid_request", `metadata headers exceed the limit of ${metadataMax} entries`, { status: 431 });
  }
  return metadata;
}

function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** The first of these headers that holds an integer; anything else is ignored, as upstream does. */
function integerHeader(headers: IncomingHttpHeaders, ...names: readonly string[]): number | undefined {
  const text = names.map((name) => header(headers, name)).find((value) => value !== undefined && /^-?\d{1,9}$/.test(value));
  return text === undefined ? undefined : Number(text);
}

function instanceHeader(headers: IncomingHttpHeaders): InstanceId | undefined {
  const text = header(headers, "x-dynamo-worker-instance-id") ?? header(headers, "x-worker-instance-id");
  return text !== undefined && /^\d{1,20}$/.test(text) ? (BigInt(text) as InstanceId) : undefined;
}

function nvextInstance(nvext: Nvext | undefined): InstanceId | undefined {
  const id = nvext?.backend_instance_id ?? nvext?.decode_worker_id;
  return id === undefined ? undefined : (BigInt(id) as InstanceId);
}
