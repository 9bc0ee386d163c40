// What every KvIndex must do: the answers that real indexes gave (kv/radix.json, kv/trace.json) and the rules of kv-index.ts one by one.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import type { ExternalHash, InstanceId, RouterEvent } from "@mm-router/protocol";
import { golden, goldenPath } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { event, removed, stored } from "./kv-events.suite.ts";
import type { ApplyOutcome, KvIndex } from "./kv-index.ts";
import { applyStep, cases, differingByRelease, differingOutcomes, differingSteps, find } from "./recorded-answers.suite.ts";

interface TraceRow {
  readonly args: readonly [seed: number, ops: number, mode: string];
  readonly trace_sha256: string;
  readonly answers_sha256: string;
  readonly checkpoints: readonly (readonly [queries: number, digest: string])[];
}

const traces = golden<{ rows: TraceRow[] }>("kv/trace.json").rows.filter(({ args }) => args[2] === "clean");

export function kvIndexSuite(make: () => KvIndex): void {
  it("answers as the real indexes of all releases, step by step", () => {
    expect(differingSteps(make)).toEqual({ steps: 901, wrong: [] });
  });

  it("answers as each release where they differ in what the contract names, step by step", () => {
    expect(differingByRelease(make)).toEqual({ steps: 18, wrong: [] });
  });

  it("reports what the real indexes of all releases report, step by step", () => {
    expect(differingOutcomes(make)).toEqual({ steps: 918, wrong: [] });
  });

  it("dumps what the real indexes dump", () => {
    const wrong: string[] = [];
    let dumps = 0;
    for (const { name, steps, dump } of cases) {
      if (!Array.isArray(dump) || !dump.every((row) => Array.isArray(row))) continue;
      dumps++;
      const index = make();
      for (const step of steps) applyStep(index, step);
      const rows = [...index.dump()].flatMap(rowsOf).sort();
      const expected = (dump as readonly (readonly (string | number | null)[])[]).map((row) => row.map(String).join(" ")).sort();
      if (JSON.stringify(rows) !== JSON.stringify(expected)) wrong.push(name);
    }
    expect(wrong).toEqual([]);
    expect(dumps).toBe(112);
  });

  it(
    "gives the digests of the real indexes for generated engine streams",
    () => {
      for (const row of traces) {
        const wanted = wholeTraces ? row.checkpoints : row.checkpoints.slice(0, 1);
        expect(checkpointsOf(make(), row, wanted.length)).toEqual(wanted);
      }
    },
    traceTimeoutMs,
  );

  rules(make);
}

/** Two traces of 160 000 events take a while; by default the first 5 000 queries of each are enough. */
const wholeTraces = process.env["MMR_TEST_WHOLE_TRACES"] === "1";
const traceTimeoutMs = 120_000;
/** The beginning of a trace does not depend on its length, and this many operations hold 5 000 queries. */
const opsOfFirstCheckpoint = 16_000;

function checkpointsOf(index: KvIndex, { args, trace_sha256, checkpoints }: TraceRow, wanted: number): (readonly [number, string])[] {
  const [seed, ops, mode] = args;
  const generator = [goldenPath("kv/trace.mjs"), `${seed}`, `${wholeTraces ? ops : opsOfFirstCheckpoint}`, mode];
  const trace = spawnSync(process.execPath, generator, { maxBuffer: 2 ** 30 }).stdout;
  if (wholeTraces) expect(createHash("sha256").update(trace).digest("hex")).toBe(trace_sha256);
  const answers = createHash("sha256");
  const seen: (readonly [number, string])[] = [];
  let queries = 0;
  for (const line of trace.toString().split("\n")) {
    if (seen.length === wanted) break;
    const [kind, ...fields] = line.split(" ");
    if (kind !== "Q") {
      applyLine(index, kind!, fields);
      continue;
    }
    answers.update(`${traceAnswer(index, fields[0]!)}\n`);
    queries++;
    if (queries === checkpoints[seen.length]![0]) seen.push([queries, answers.copy().digest("hex").slice(0, 16)]);
  }
  return seen;
}

function applyLine(index: KvIndex, kind: string, [worker, rank, first, second]: string[]): void {
  const at = { worker: BigInt(worker ?? 0), rank: Number(rank) };
  if (kind === "S") {
    const blocks = second!.split(",").map((pair) => pair.split(":").map(BigInt) as [bigint, bigint]);
    expect(index.apply(stored(at, first === "-" ? null : BigInt(first!), blocks))).toBe("applied");
  } else if (kind === "R") {
    expect(index.apply(removed(at, first!.split(",").map(BigInt)))).toBe("applied");
  } else if (kind === "C") {
    index.apply(event(at, "cleared"));
  } else if (kind === "W") {
    index.removeWorker(at.worker as InstanceId);
  }
}

function traceAnswer(index: KvIndex, hashes: string): string {
  const scores = index
    .findMatches(BigUint64Array.from(hashes.split(","), BigInt))
    .map(({ worker, blocks }) => [Number(worker.workerId), worker.dpRank, blocks]);
  return scores
    .sort(([a, b], [c, d]) => a! - c! || b! - d!)
    .map(([worker, rank, blocks]) => `${worker}.${rank}=${blocks}`)
    .join(" ");
}

function rowsOf({ worker_id, event: { data, dp_rank } }: RouterEvent): string[] {
  if (data === "cleared" || !("stored" in data)) throw new Error("a dump holds stored events only");
  let parent: ExternalHash | null = data.stored.parent_hash;
  return data.stored.blocks.map(({ block_hash, tokens_hash }) => {
    const row = [worker_id, dp_rank, parent, block_hash, tokens_hash].map(String).join(" ");
    parent = block_hash;
    return row;
  });
}

const one = { worker: 1n, rank: 0 };
const two = { worker: 2n, rank: 0 };
const chain = [
  [11n, 1n],
  [12n, 2n],
  [13n, 3n],
] as const;

function rules(make: () => KvIndex): void {
  const indexWith = (...events: RouterEvent[]) => {
    const index = make();
    const outcomes = events.map((each) => index.apply(each));
    return { index, outcomes };
  };

  describe("the rules one by one", () => {
    it.each<[string, RouterEvent[], ApplyOutcome[]]>([
      ["an unknown parent", [stored(one, 9n, chain)], ["parent_not_found"]],
      ["a parent that another rank has", [stored(two, null, chain), stored(one, 13n, [[14n, 4n]])], ["applied", "parent_not_found"]],
      [
        "a parent that was removed",
        [stored(one, null, chain), removed(one, [13n]), stored(one, 13n, [[14n, 4n]])],
        ["applied", "applied", "parent_not_found"],
      ],
      ["an unknown removal among known ones", [stored(one, null, chain), removed(one, [99n, 13n])], ["applied", "block_not_found"]],
      ["a removal from an unknown rank", [removed(one, [1n])], ["block_not_found"]],
    ])("reports %s", (_, events, outcomes) => {
      expect(indexWith(...events).outcomes).toEqual(outcomes);
    });

    it("removes the known blocks of an event that also names unknown ones", () => {
      const { index } = indexWith(stored(one, null, chain), removed(one, [99n, 13n, 98n]));
      expect(find(index, [1n, 2n, 3n])).toEqual(["1 0 2"]);
      expect(index.entriesOf({ workerId: 1n as InstanceId, dpRank: 0 })).toBe(2);
    });

    it("counts a block below a hole again once the hole is filled while another rank kept the path", () => {
      const { index } = indexWith(stored(one, null, chain), stored(two, null, chain), removed(one, [12n]));
      expect(find(index, [1n, 2n, 3n])).toEqual(["1 0 1", "2 0 3"]);
      index.apply(stored(one, 11n, [[12n, 2n]]));
      expect(find(index, [1n, 2n, 3n])).toEqual(["1 0 3", "2 0 3"]);
    });

    it("forgets what lies below a position that nobody holds, but still takes it as a parent", () => {
      const { index, outcomes } = indexWith(
        stored(one, null, chain),
        removed(one, [12n]),
        stored(one, 13n, [[14n, 4n]]),
        stored(one, 11n, [[12n, 2n]]),
      );
      expect(outcomes).toEqual(["applied", "applied", "applied", "applied"]);
      expect(find(index, [1n, 2n, 3n, 4n])).toEqual(["1 0 2"]);
      expect(index.apply(removed(one, [13n, 14n]))).toBe("applied");
    });

    it("clears one rank or all ranks of a worker, as the release says", () => {
      const other = { worker: 1n, rank: 1 };
      const both = [stored(one, null, chain), stored(other, null, chain)];
      const byRank = indexWith(...both).index;
      byRank.apply(event(one, "cleared"), "rank");
      expect(find(byRank, [1n])).toEqual(["1 1 1"]);
      const byWorker = indexWith(...both).index;
      byWorker.apply(event(one, "cleared"), "worker");
      expect(find(byWorker, [1n])).toEqual([]);
    });

    it("makes an index from a dump that answers the same", () => {
      const { index } = indexWith(stored(one, null, chain), stored(one, 11n, [[15n, 5n]]), stored(two, null, chain), removed(two, [12n]));
      const copy = indexWith(...index.dump()).index;
      for (const query of [[1n, 2n, 3n], [1n, 5n], [2n]]) expect(find(copy, query)).toEqual(find(index, query));
    });

    it("holds nothing after everything was removed, cleared or forgotten", () => {
      const { index } = indexWith(stored(one, null, chain), stored(two, null, chain));
      index.removeWorker(1n as InstanceId);
      index.removeRank({ workerId: 2n as InstanceId, dpRank: 0 });
      expect(index.size).toEqual({ ranks: 0, entries: 0 });
      expect(find(index, [1n])).toEqual([]);
      index.apply(stored(one, null, chain));
      index.clear();
      expect(index.size).toEqual({ ranks: 0, entries: 0 });
      expect([...index.dump()]).toEqual([]);
    });
  });
}
