// The real bindings' prefix tree under the same load, in a Python process of its own.
import { execFile } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { eventWireOf, type RouterEvent, stringifyJson } from "@mm-router/protocol";
import { ensureRelease } from "@mm-router/testkit";
import { quantile } from "../support/process-cost.ts";
import type { Load } from "./loads.ts";

export interface RealIndex {
  /** Million blocks per second; it decodes JSON on the way. */
  readonly apply: number;
  /** µs. */
  readonly findP50: number;
  readonly findP99: number;
  /** µs of a call that asks for nothing: what the binding itself takes. */
  readonly emptyP50: number;
  /** As `worker=blocks …` per query. */
  readonly answers: readonly string[];
}

export async function realIndexOn(load: Load): Promise<RealIndex> {
  const python = await ensureRelease("1.6.1", (line) => console.info(line));
  const folder = await mkdtemp(join(tmpdir(), "bench-kv-"));
  try {
    const [events, queries] = [join(folder, "events"), join(folder, "queries")];
    await pipeline(Readable.from(eventLines(load)), createWriteStream(events));
    await writeFile(queries, Buffer.concat(load.queries.map((query) => Buffer.from(query.buffer))));
    const script = join(import.meta.dirname, "real-index.py");
    const { stdout } = await promisify(execFile)(python, [script, events, queries], { maxBuffer: 2 ** 28 });
    return summary(load, JSON.parse(stdout) as Report);
  } finally {
    await rm(folder, { recursive: true });
  }
}

interface Report {
  readonly apply_seconds: number;
  readonly rounds: readonly (readonly number[])[];
  readonly empty: readonly number[];
  readonly answers: readonly string[];
}

function summary({ blocks }: Load, { apply_seconds, rounds, empty, answers }: Report): RealIndex {
  const best = [...rounds].sort((a, b) => quantile(a, 0.99) - quantile(b, 0.99))[0]!;
  return {
    apply: blocks / apply_seconds / 1e6,
    findP50: quantile(best, 0.5),
    findP99: quantile(best, 0.99),
    emptyP50: quantile(empty, 0.5),
    answers,
  };
}

function* eventLines({ before, events }: Load): Iterable<string> {
  for (const event of before()) yield lineOf(event);
  yield "\n";
  for (const event of events()) yield lineOf(event);
}

function lineOf(event: RouterEvent): string {
  return `${event.worker_id}\t${stringifyJson(eventWireOf(event)["event"])}\n`;
}
