// The prefix index: how fast it answers and takes events, what it weighs, one Node thread.
//
//   load ─┬─▶ naive index ─▶ expected answers of all timed queries, for all ranks
//         ├─▶ RadixTree   ─▶ the same answers, or the bench fails; only then the clock starts
//         └─▶ RadixTree of the real bindings (1.6.1), the same answers, its own clock and that of an empty call
//
//   npm run bench -- kv                 all loads
//   npm run bench -- kv branches        those whose name contains a word
//
// find: each query timed alone, best of five rounds by p99, because the machine may be busy. apply: decoded events, by CPU time, best of
// three.
// bytes: growth of heap and array buffers after a collection, per pair of block and rank; peak: the most array buffers while applying.
import { RadixTree, type OverlapScores } from "@mm-router/kv";
import { NaiveIndex } from "@mm-router/kv/testing";
import assert from "node:assert";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Load, loads } from "./kv/loads.ts";
import { realIndexOn } from "./kv/real-index.ts";
import { quantile } from "./support/process-cost.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

const wanted = process.argv[2] ?? "";
type Row = Record<string, string | number>;
/** Beyond this, writing the events as JSON for the real bindings would take longer than all the rest. */
const realBlocksMax = 1_100_000;

const rows: Row[] = [];
for (const [name, make] of Object.entries(loads)) {
  if (!name.includes(wanted)) continue;
  console.info(name);
  const expected = naiveAnswers(make(true)); // the same whatever the engines call the blocks
  rows.push(ours(name, make(true), expected));
  rows.push(...(await real(name, make(false), expected)));
}
console.table(rows);

function ours(name: string, load: Load, expected: readonly string[]): Row {
  const { index, bytes, peak } = weigh(load);
  assert.deepEqual(
    load.queries.map((query) => answerText(index.findMatches(query))),
    expected,
    name,
  );
  const find = timeFind(index, load);
  const { entries } = index.size;
  const { goals } = load;
  return {
    load: name,
    index: "ours",
    entries,
    "find p50 µs": rated(find.p50, goals.findP50, "most"),
    "find p99 µs": rated(find.p99, goals.findP99, "most"),
    "apply M blocks/s": rated(timeApply(load), goals.apply, "least"),
    "bytes/entry": rated(bytes / entries, goals.bytes, "most"),
    "peak bytes/entry": (peak / entries).toFixed(0),
  };
}

async function real(name: string, load: Load, expected: readonly string[]): Promise<Row[]> {
  if (load.blocks > realBlocksMax) return [];
  const index = await realIndexOn(load);
  assert.deepEqual(index.answers, expected, `${name}: the real bindings`);
  return [
    {
      load: name,
      index: "real 1.6.1",
      "find p50 µs": `${index.findP50.toFixed(1)} (empty call ${index.emptyP50.toFixed(1)})`,
      "find p99 µs": index.findP99.toFixed(1),
      "apply M blocks/s": index.apply.toFixed(2),
    },
  ];
}

function naiveAnswers({ before, events, queries }: Load): string[] {
  const naive = new NaiveIndex();
  for (const event of before()) naive.apply(event);
  for (const event of events()) assert.equal(naive.apply(event), "applied");
  return queries.map((query) => answerText(naive.findMatches(query)));
}

/** Ranks in a fixed order, with what each holds. */
function answerText(scores: OverlapScores): string {
  return scores
    .map(({ worker, blocks }) => `${worker.workerId}=${blocks}`)
    .sort()
    .join(" ");
}

function weigh({ before, events }: Load): { index: RadixTree; bytes: number; peak: number } {
  collectGarbage();
  const start = process.memoryUsage();
  const index = new RadixTree();
  let peak = 0;
  for (const drawn of [before(), events()]) {
    for (const batch of batches(drawn, 256)) {
      for (const event of batch) index.apply(event);
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - start.arrayBuffers);
    }
  }
  collectGarbage();
  const end = process.memoryUsage();
  return { index, bytes: end.heapUsed + end.arrayBuffers - start.heapUsed - start.arrayBuffers, peak };
}

/** Million blocks per second of CPU; events are made a batch at a time, as a consumer decodes them, and applied under the clock. */
function timeApply({ before, events, blocks }: Load): number {
  let best = 0;
  for (let round = 0; round < 3; round++) {
    const index = new RadixTree();
    for (const event of before()) index.apply(event);
    let tookUs = 0;
    for (const batch of batches(events(), 1_024)) {
      const from = process.cpuUsage();
      for (const event of batch) index.apply(event);
      const { user, system } = process.cpuUsage(from);
      tookUs += user + system;
    }
    best = Math.max(best, blocks / tookUs);
  }
  return best;
}

/** Twice: what array buffers held is given back by the collection after the one that found them. */
function collectGarbage(): void {
  gc();
  gc();
}

function* batches<T>(items: Iterable<T>, size: number): Iterable<T[]> {
  let batch: T[] = [];
  for (const item of items) {
    if (batch.push(item) < size) continue;
    yield batch;
    batch = [];
  }
  yield batch;
}

function timeFind(index: RadixTree, { queries }: Load): { p50: number; p99: number } {
  let best = { p50: Number.POSITIVE_INFINITY, p99: Number.POSITIVE_INFINITY };
  for (let round = 0; round < 5; round++) {
    const took = queries.map((query) => {
      const from = process.hrtime.bigint();
      index.findMatches(query);
      return Number(process.hrtime.bigint() - from) / 1_000;
    });
    const found = { p50: quantile(took, 0.5), p99: quantile(took, 0.99) };
    if (found.p99 < best.p99) best = found;
  }
  return best;
}

function rated(value: number, goal: number, bound: "most" | "least"): string {
  const met = bound === "most" ? value <= goal : value >= goal;
  return `${value.toFixed(value < 10 ? 2 : 1)} (${bound === "most" ? "≤" : "≥"} ${goal}${met ? "" : ", missed"})`;
}
