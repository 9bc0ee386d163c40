// `mmr index`: a script for one in-memory index, line by line.
//
//   {"apply":<RouterEvent>}   → {"ok":true} | {"ok":false,"reason":"parent_not_found" | "block_not_found" | "other_tier" | …}
//   {"find":[block hashes]}   → {"scores":{"<worker id>":{"<rank>":n}}}
//   {"remove_worker":id} · {"clear_worker":id}   → {"ok":true}
//   {"dump":true}             → {"events":[…]}
import { type ApplyOutcome, type KvIndex, type OverlapScores, RadixTree } from "@mm-router/kv";
import { decodeAs, type Dialect, dialectOf, eventWireOf, type InstanceId, type RouterEvent, routerEventOf, u64 } from "@mm-router/protocol";
import { z } from "zod";
import type { LineCommand } from "../jsonl.ts";

export const name = "index";

const wireU64 = z.union([z.bigint(), z.int(), z.string()]).transform((value) => u64(value));

export const schema = z.union([
  z.strictObject({ apply: z.unknown().refine((event) => event !== undefined) }),
  z.strictObject({ find: z.array(wireU64) }),
  z.strictObject({ remove_worker: wireU64 }),
  z.strictObject({ clear_worker: wireU64 }),
  z.strictObject({ dump: z.literal(true) }),
]);

export function createCommand(options: { readonly release?: string } = {}): LineCommand {
  const dialect = dialectOf(options.release ?? "1.6");
  const index = new RadixTree();
  return (json) => run(index, dialect, decodeAs(schema, json, "index"));
}

function run(index: KvIndex, dialect: Dialect, line: z.infer<typeof schema>): object {
  if ("apply" in line) return outcomeOf(apply(index, routerEventOf(line.apply), dialect));
  if ("find" in line) return { scores: scoresOf(index.findMatches(BigUint64Array.from(line.find))) };
  if ("dump" in line) return { events: Array.from(index.dump(), withTextIntegers) };
  index.removeWorker(("remove_worker" in line ? line.remove_worker : line.clear_worker) as InstanceId);
  return { ok: true };
}

function apply(index: KvIndex, event: RouterEvent, dialect: Dialect): ApplyOutcome | "other_tier" {
  if ((event.storage_tier ?? "device") !== "device") return "other_tier";
  return index.apply(event, dialect.clearedScope);
}

function outcomeOf(outcome: ApplyOutcome | "other_tier"): object {
  return outcome === "applied" ? { ok: true } : { ok: false, reason: outcome };
}

function scoresOf(scores: OverlapScores): Record<string, Record<string, number>> {
  const byWorker: Record<string, Record<string, number>> = {};
  for (const { worker, blocks } of scores) (byWorker[`${worker.workerId}`] ??= {})[`${worker.dpRank}`] = blocks;
  return byWorker;
}

/** Ids and hashes as decimal text, as everywhere in JSON Lines. */
function withTextIntegers(event: RouterEvent): unknown {
  const text = (value: unknown): unknown => {
    if (typeof value === "bigint") return value.toString();
    if (Array.isArray(value)) return value.map(text);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([member, inner]) => [member, text(inner)]));
  };
  return text(eventWireOf(event));
}
