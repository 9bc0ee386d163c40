// Hashes and index against the bindings of each release, over random inputs: what one asks in a file, the other answers line by line.
//
//   random requests ──┬─▶ packages/kv ───────────────▶ answers ─┐
//                     └─▶ Python with the release's wheel ──────┴─▶ equal
//
// Histories are in engine order: a hash stands for a path, parents come first, leaves go first. On others releases differ (kv.md §6.2).
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { blockHashes, type KvIndex, RadixTree } from "@mm-router/kv";
import {
  type BlockHash,
  dialectOf,
  type ExternalHash,
  eventWireOf,
  type InstanceId,
  type KvEventData,
  type MmHash,
  type RouterEvent,
  stringifyJson,
} from "@mm-router/protocol";
import { ensureRelease, type Release, releasesUnderTest } from "@mm-router/testkit";
import { describeRelease } from "@mm-router/testkit/requires";
import fc from "fast-check";
import { expect, it } from "vitest";

const seed = 20_261;
const u64 = fc.bigInt(0n, 2n ** 64n - 1n);
const name = fc.option(fc.string({ maxLength: 20 }));

const hashed = fc.record({
  tokens: fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 700 }),
  blockSize: fc.integer({ min: 1, max: 130 }),
  infos: fc.array(fc.option(fc.array(u64, { maxLength: 6 })), { maxLength: 20 }),
  loraName: name,
  cacheNamespace: name,
  isEagle: fc.boolean(),
});

type Step = { readonly event: RouterEvent } | { readonly find: readonly bigint[] };

const rank = fc.record({ worker: fc.integer({ min: 1, max: 4 }), dpRank: fc.nat(1) });
const path = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 40 });
const move = fc.record({ rank, path, kind: fc.constantFrom("store", "store", "remove", "find", "find", "clear") });

for (const release of ["0.9.1", "1.0.2", "1.2.1", "1.4.2", "1.5.1", "1.6.1"] as const satisfies readonly Release[]) {
  if (!releasesUnderTest(process.env).includes(release)) continue;
  await describeRelease(`bindings of ${release}`, release, () => {
    it("hash 400 random prompts with images, adapters and salts as we do", async () => {
      const dialect = dialectOf(release);
      const inputs = fc.sample(hashed, { numRuns: 400, seed }).map((input) => ({
        ...input,
        loraName: dialect.hashesLora ? input.loraName : null,
        cacheNamespace: dialect.hashesCacheSalt ? input.cacheNamespace : null,
        isEagle: dialect.hashesEagle && input.isEagle,
        infos: input.infos.map(
          (hashes) => hashes && { mm_objects: hashes.map((mm_hash) => ({ mm_hash: mm_hash as MmHash, offsets: [] })) },
        ),
      }));
      const asked = inputs.map(({ tokens, blockSize, infos, loraName, cacheNamespace, isEagle }) => ({
        hash: {
          tokens,
          block_size: blockSize,
          block_mm_infos: infos,
          ...(loraName !== null && { lora_name: loraName }),
          ...(cacheNamespace !== null && { cache_namespace: cacheNamespace }),
          ...(isEagle && { is_eagle: true }),
        },
      }));
      const ours = inputs.map(({ tokens, infos, ...rest }) =>
        Array.from(blockHashes({ ...rest, tokens: Uint32Array.from(tokens), blockMmInfos: infos }), String),
      );
      expect(await answersOf(release, asked)).toEqual(ours);
    });

    it("find in 60 random histories what we find", async () => {
      const histories = fc.sample(fc.array(move, { minLength: 40, maxLength: 120 }), { numRuns: 60, seed });
      const steps = histories.map((moves) => historyOf(moves, release));
      const asked = steps.flatMap((history) => [{ new: true }, ...history.map(wireOf)]);
      const answers = await answersOf(release, asked);
      expect(answers.map((answer) => (Array.isArray(answer) ? answer.map(String).sort() : answer))).toEqual(
        steps.flatMap((history) => [true, ...run(new RadixTree(), history, release)]),
      );
      expect(answers.filter((answer) => Array.isArray(answer) && answer.length > 0).length).toBeGreaterThan(300);
    });

    it("tell an index that never removes a block from one that does", async () => {
      const histories = fc.sample(fc.array(move, { minLength: 40, maxLength: 120 }), { numRuns: 20, seed });
      const steps = histories.map((moves) => historyOf(moves, release));
      const answers = await answersOf(
        release,
        steps.flatMap((history) => [{ new: true }, ...history.map(wireOf)]),
      );
      const deaf = steps.flatMap((history) => [true, ...run(new NeverRemoving(), history, release)]);
      expect(answers.map((answer) => (Array.isArray(answer) ? answer.map(String).sort() : answer))).not.toEqual(deaf);
    });
  });
}

/** One rule of the index removed: `removed` does nothing. */
class NeverRemoving extends RadixTree {
  override apply(event: RouterEvent, scope?: "rank" | "worker"): ReturnType<RadixTree["apply"]> {
    const { data } = event.event;
    return data !== "cleared" && "removed" in data ? "applied" : super.apply(event, scope);
  }
}

/** Moves as an engine could make them: what cannot be done in the state that they meet becomes a query. */
function historyOf(moves: readonly { rank: { worker: number; dpRank: number }; path: number[]; kind: string }[], release: Release): Step[] {
  const held = new Map<string, Set<string>>();
  const { clearedScope } = dialectOf(release);
  return moves.map(({ rank: { worker, dpRank }, path, kind }): Step => {
    const key = `${worker}:${dpRank}`;
    const paths = held.get(key) ?? new Set<string>();
    held.set(key, paths);
    const event = (data: KvEventData): Step => ({
      event: { worker_id: BigInt(worker) as InstanceId, event: { event_id: 0n, data, dp_rank: dpRank } },
    });
    const names = path.map((_, depth) => path.slice(0, depth + 1).join(""));
    if (kind === "store") {
      const known = names.findIndex((each) => !paths.has(each));
      if (known === -1) return { find: path.map(BigInt) };
      for (const each of names) paths.add(each);
      const blocks = names
        .slice(known)
        .map((each, i) => ({ block_hash: hashOf(each), tokens_hash: BigInt(path[known + i]!) as BlockHash }));
      return event({ stored: { parent_hash: known === 0 ? null : hashOf(names[known - 1]!), blocks } });
    }
    if (kind === "remove") {
      const leaf = [...paths].sort((a, b) => b.length - a.length)[0];
      if (leaf === undefined) return { find: path.map(BigInt) };
      paths.delete(leaf);
      return event({ removed: { block_hashes: [hashOf(leaf)] } });
    }
    if (kind !== "clear") return { find: path.map(BigInt) };
    for (const [other, set] of held) if (clearedScope === "rank" ? other === key : other.startsWith(`${worker}:`)) set.clear();
    return event("cleared");
  });
}

/** FNV-1a over the path: an engine's name of a block, the same on every rank. */
function hashOf(path: string): ExternalHash {
  let hash = 0xcbf29ce484222325n;
  for (const digit of path) hash = BigInt.asUintN(64, (hash ^ BigInt(digit)) * 0x100000001b3n);
  return hash as ExternalHash;
}

function wireOf(step: Step): unknown {
  if ("find" in step) return step;
  return { apply: [step.event.worker_id, eventWireOf(step.event)["event"]] };
}

function run(index: KvIndex, steps: readonly Step[], release: Release): unknown[] {
  return steps.map((step) => {
    if ("event" in step) return index.apply(step.event, dialectOf(release).clearedScope) === "applied";
    const scores = index.findMatches(BigUint64Array.from(step.find));
    return scores.map(({ worker: { workerId, dpRank }, blocks }) => `${workerId},${dpRank},${blocks}`).sort();
  });
}

async function answersOf(release: Release, lines: readonly unknown[]): Promise<unknown[]> {
  const python = await ensureRelease(release, (line) => console.info(line));
  const folder = await mkdtemp(join(tmpdir(), "bindings-"));
  try {
    const asked = join(folder, "asked.jsonl");
    await writeFile(asked, lines.map((line) => `${stringifyJson(line)}\n`).join(""));
    const script = join(import.meta.dirname, "harness/bindings.py");
    const { stdout } = await promisify(execFile)(python, [script, asked], { maxBuffer: 2 ** 28, env: { DYN_LOG: "error" } });
    return stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
  } finally {
    await rm(folder, { recursive: true });
  }
}
