// What real indexes answered to scripts of events (kv/radix.json), and where an index of ours answers otherwise.
import type { InstanceId } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { event, removed, stored } from "./kv-events.suite.ts";
import type { ApplyOutcome, ClearedScope, KvIndex } from "./kv-index.ts";

interface GoldenStep {
  readonly op: "stored" | "removed" | "cleared" | "remove_worker" | "clear_all_blocks";
  readonly worker_id: number | string;
  readonly dp_rank: number;
  readonly event_id: number;
  readonly parent_hash: string | null;
  readonly blocks: readonly { block_hash: string; tokens_hash: string }[];
  readonly block_hashes: readonly string[];
  /** Per query; or, where releases differ, what each of them answered to all queries. */
  readonly scores: readonly ScoreRows[] | readonly { releases: string[]; value: readonly ScoreRows[] }[];
  /** Of the exception; a list where releases differ. */
  readonly error?: string | null | readonly object[];
}

type ScoreRows = readonly (readonly [worker: string, rank: number, blocks: number])[];

interface GoldenCase {
  readonly name: string;
  readonly queries: readonly { hashes: readonly string[] }[];
  readonly steps: readonly GoldenStep[];
  readonly dump: readonly (readonly [worker: string, rank: number, parent: string | null, block: string, tokens: string])[] | object;
}

export const cases = golden<{ cases: GoldenCase[] }>("kv/radix.json").cases;
const isOneAnswer = (step: GoldenStep) => step.scores.every((score) => Array.isArray(score));

/** Steps of kv/radix.json with one answer for all releases where the index answers otherwise, as `case, step`. */
export function differingSteps(make: () => KvIndex): { readonly steps: number; readonly wrong: string[] } {
  const wrong: string[] = [];
  let steps = 0;
  for (const { name, queries, steps: script } of cases) {
    const index = make();
    for (const [number, step] of script.entries()) {
      applyStep(index, step);
      if (!isOneAnswer(step)) continue;
      steps++;
      if (!answersAre(index, queries, step.scores as readonly ScoreRows[])) wrong.push(`${name}, ${number}`);
    }
  }
  return { steps, wrong };
}

/** Steps of which all releases report the same, and the index something else. */
export function differingOutcomes(make: () => KvIndex): { readonly steps: number; readonly wrong: string[] } {
  const wrong: string[] = [];
  let steps = 0;
  for (const { name, steps: script } of cases) {
    const index = make();
    for (const [number, step] of script.entries()) {
      const outcome = applyStep(index, step);
      const expected = outcomeOf(step.error);
      if (expected === undefined) continue;
      steps++;
      if (outcome !== expected) wrong.push(`${name}, ${number}`);
    }
  }
  return { steps, wrong };
}

/** undefined: releases report different things. */
function outcomeOf(error: GoldenStep["error"]): ApplyOutcome | undefined {
  if (error === null || error === undefined) return "applied";
  if (typeof error !== "string") return undefined;
  return error.endsWith("parent block") ? "parent_not_found" : "block_not_found";
}

/** Steps where releases differ in what kv.md §6.1 names, and the index, told the release's scope of `cleared`, says something else. */
export function differingByRelease(make: () => KvIndex): { readonly steps: number; readonly wrong: string[] } {
  const wrong: string[] = [];
  let steps = 0;
  for (const [release, scope] of [
    ["1.2.1", "worker"],
    ["1.4.2", "rank"],
  ] as const) {
    for (const { name, queries, steps: script } of cases) {
      const index = make();
      for (const [number, step] of script.entries()) {
        applyStep(index, step, scope);
        const hasCleared = script.slice(0, number + 1).some(({ op }) => op === "cleared");
        const answer = isOneAnswer(step) ? undefined : answerOf(step, release, hasCleared);
        if (answer === undefined) continue;
        steps++;
        if (!answersAre(index, queries, answer)) wrong.push(`${release}: ${name}, ${number}`);
      }
    }
  }
  return { steps, wrong };
}

/** undefined: releases differ in another way than by the scope of `cleared`, or by 0.7.1 stopping at the first unknown block of a removal. */
function answerOf({ scores, error }: GoldenStep, release: string, hasCleared: boolean): readonly ScoreRows[] | undefined {
  const answers = scores as readonly { readonly releases: readonly string[]; readonly value: readonly ScoreRows[] }[];
  const groups = answers.map(({ releases }) => releases.join(" ")).join();
  const isByScope = hasCleared && groups === "0.7.1 0.9.1 1.0.2 1.2.1,1.4.2 1.5.1 1.6.1";
  const isByStopping = outcomeOf(error) === "block_not_found" && groups === "0.7.1,0.9.1 1.0.2 1.2.1 1.4.2 1.5.1 1.6.1";
  if (!isByScope && !isByStopping) return undefined;
  return answers.find(({ releases }) => releases.includes(release))!.value;
}

function answersAre(index: KvIndex, queries: GoldenCase["queries"], expected: readonly ScoreRows[]): boolean {
  const answers = queries.map(({ hashes }) => find(index, hashes));
  return JSON.stringify(answers) === JSON.stringify(expected.map((rows) => rows.map((row) => row.map(String).join(" ")).sort()));
}

export function applyStep(index: KvIndex, step: GoldenStep, scope?: ClearedScope): ApplyOutcome {
  const at = { worker: BigInt(step.worker_id), rank: step.dp_rank };
  if (step.op === "stored") {
    const blocks = step.blocks.map(({ block_hash, tokens_hash }) => [BigInt(block_hash), BigInt(tokens_hash)] as const);
    return index.apply(stored(at, step.parent_hash === null ? null : BigInt(step.parent_hash), blocks));
  }
  if (step.op === "removed") return index.apply(removed(at, step.block_hashes.map(BigInt)));
  if (step.op === "cleared") return index.apply(event(at, "cleared"), scope);
  index.removeWorker(at.worker as InstanceId);
  return "applied";
}

export function find(index: KvIndex, hashes: readonly (string | bigint)[]): string[] {
  const scores = index.findMatches(BigUint64Array.from(hashes, BigInt));
  return scores.map(({ worker, blocks }) => `${worker.workerId} ${worker.dpRank} ${blocks}`).sort();
}
