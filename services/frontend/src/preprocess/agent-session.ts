// The session that a request belongs to, as the headers of agents and gateways name it, and what a worker is told of it.
//
//   x-dynamo-session-id        parent: x-dynamo-parent-session-id        the first of these that is there names the session
//   x-claude-code-session-id   an x-claude-code-agent-id is a session of its own, below x-claude-code-parent-agent-id or the former
//   thread-id                  parent: x-codex-parent-thread-id
//   x-session-id               parent: x-parent-session-id
//
//   → "agent_context":{"session_id":"a","parent_session_id":"s","session_final":true,"agent_headers":{"x-codex-…":["…"]},
//                      "input_trigger":"user_message"},"image_cache_scope":"a"
//
// `agent_headers` are the agents' own headers as they came. Empty values are none, and so is what is not ASCII.
// Source: Dynamo 1.6.1, seen in its frontend (tests/swap/frontend-routing.test.ts); engines take session_id for reuse of their caches.
import type { IncomingHttpHeaders } from "node:http";
import type { LosslessJson } from "@mm-router/protocol";
import type { JsonMap } from "./shape.ts";

export interface AgentSession {
  readonly id: string;
  readonly parent: string | undefined;
  /** It is said to be, or not to be, the session's last request. */
  readonly final: boolean | undefined;
  /** Agents' own headers, by name. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

type Ids = readonly [id: string | undefined, parent: string | undefined];

const agentHeader = /^(?:x-claude-code-.+|x-codex-.+|thread-id|x-session-id|x-parent-session-id)$/;
const ascii = /^[\t\x20-\x7e]*$/;

/** @returns undefined for a request of no session */
export function agentSession(headers: IncomingHttpHeaders): AgentSession | undefined {
  const given = (name: string) => asciiHeader(headers, name) || undefined;
  const claude: Ids = [given("x-claude-code-session-id"), undefined];
  const agent = given("x-claude-code-agent-id");
  const named: readonly Ids[] = [
    [given("x-dynamo-session-id"), given("x-dynamo-parent-session-id")],
    claude[0] === undefined || agent === undefined ? claude : [agent, given("x-claude-code-parent-agent-id") ?? claude[0]],
    [given("thread-id"), given("x-codex-parent-thread-id")],
    [given("x-session-id"), given("x-parent-session-id")],
  ];
  const [id, parent] = named.find(([each]) => each !== undefined) ?? [];
  if (id === undefined) return undefined;
  return { id, parent: parent === id ? undefined : parent, final: spokenBoolean(given("x-dynamo-session-final")), headers: own(headers) };
}

/** What made the agent ask: a person, the outcome of a tool, or something else. @param messages of a chat; undefined: a completion */
function inputTrigger(messages: readonly LosslessJson[] | undefined): string {
  const role = (messages?.at(-1) as JsonMap | undefined)?.get("role");
  if (role === "user") return "user_message";
  return role === "tool" || role === "function" ? "tool_result" : "other";
}

/** `agent_context` and `image_cache_scope` of the worker's request; empty without a session. */
export function sessionMembers(session: AgentSession | undefined, messages: readonly LosslessJson[] | undefined): JsonMap {
  if (session === undefined) return new Map();
  const { id, parent, final, headers } = session;
  const context: JsonMap = new Map([["session_id", id]]);
  if (parent !== undefined) context.set("parent_session_id", parent);
  if (final !== undefined) context.set("session_final", final);
  if (headers.length > 0) context.set("agent_headers", new Map(headers.map(([name, value]) => [name, [value]])));
  context.set("input_trigger", inputTrigger(messages));
  return new Map<string, LosslessJson>([
    ["agent_context", context],
    ["image_cache_scope", id],
  ]);
}

function own(headers: IncomingHttpHeaders): AgentSession["headers"] {
  const isCodex = Boolean(asciiHeader(headers, "thread-id")); // whose session-id says nothing about others'
  const names = Object.keys(headers).filter((name) => agentHeader.test(name) || (isCodex && name === "session-id"));
  return names.toSorted().flatMap((name) => {
    const value = asciiHeader(headers, name);
    return value === undefined ? [] : [[name, value] as const];
  });
}

function asciiHeader(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  const text = Array.isArray(value) ? value.join(", ") : value;
  return text !== undefined && ascii.test(text) ? text.trim() : undefined;
}

/** As upstream reads it; anything else says nothing. */
function spokenBoolean(text: string | undefined): boolean | undefined {
  if (/^(?:1|true|yes|on)$/i.test(text ?? "")) return true;
  return /^(?:0|false|no|off)$/i.test(text ?? "") ? false : undefined;
}
