import { type JsonValue, parseJson, stringifyJson } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import * as hash from "./hash.ts";
import * as index from "./index.ts";
import * as select from "./select.ts";

/** What a line of text gives, as text. */
function runner(command: ReturnType<typeof hash.createCommand>): (line: string) => Promise<string> {
  return async (line) => stringifyJson(await command(parseJson(line), line));
}

describe("mmr hash", () => {
  const run = runner(hash.createCommand());

  it("writes hashes as decimal text", async () => {
    expect(await run('{"tokens":[0,1,2,3,4,5,6,7,8,9,10,11],"block_size":4}')).toBe(
      '{"block_hashes":["9143094415614847814","12124091508212882195","1088361764653601668"],"sequence_hashes":["9143094415614847814","9510318385840434533","16998148715716822651"]}',
    );
  });

  it("takes mm_hashes beyond 2^53 as integers and as text alike", async () => {
    const line = (mmHash: string) =>
      `{"tokens":[1,2],"block_size":2,"block_mm_infos":[{"mm_objects":[{"mm_hash":${mmHash},"offsets":[[0,1]]}]}],"lora_name":null}`;
    expect(await run(line("18446744073709551615"))).toBe(await run(line('"18446744073709551615"')));
    expect(await run(line("18446744073709551615"))).not.toBe(await run(line("18446744073709551614")));
  });

  it("gives what every recorded release gives, for every line that its function takes", async () => {
    const { cases } = golden("kv/hashes.json");
    for (const each of cases.filter(({ tokens, expect: [first] }: any) => Array.isArray(tokens) && Array.isArray(first?.local_hashes))) {
      const { name: _, expect: expected, ...line } = each;
      for (const { releases, local_hashes } of expected) {
        for (const release of releases) {
          const answer = await hash.createCommand()({ ...line, release }, "");
          expect((answer as { block_hashes: string[] }).block_hashes, each.name).toEqual(local_hashes);
        }
      }
    }
  });

  it.each([
    '{"tokens":[1],"block_size":0}',
    '{"tokens":[4294967296],"block_size":1}',
    '{"tokens":[1.5],"block_size":1}',
    '{"tokens":[1],"block_size":1,"block_mm_infos":[{"mm_objects":[{"mm_hash":-1}]}]}',
    '{"tokens":[1],"block_size":1,"release":"0.9.1","lora_name":"a"}',
    '{"tokens":[1],"block_size":1,"release":"nine"}',
    "[]",
  ])("refuses %s", async (line) => {
    await expect(run(line)).rejects.toThrow();
  });
});

describe("mmr index", () => {
  const stored = (parent: string, blocks: string, worker = 1, rank = 0) =>
    `{"apply":{"worker_id":${worker},"event":{"event_id":0,"data":{"stored":{"parent_hash":${parent},"blocks":[${blocks}]}},"dp_rank":${rank}}}}`;
  const block = (engine: string, tokens: string) => `{"block_hash":${engine},"tokens_hash":${tokens}}`;

  it("plays a script: apply, find, remove, clear, dump", async () => {
    const run = runner(index.createCommand());
    const lines: [line: string, answer: string][] = [
      [stored("null", `${block("18446744073709551615", "9143094415614847814")},${block('"12"', '"7"')}`), '{"ok":true}'],
      [stored("99", block("13", "8")), '{"ok":false,"reason":"parent_not_found"}'],
      ['{"find":[9143094415614847814,"7",1]}', '{"scores":{"1":{"0":2}}}'],
      [
        '{"apply":{"worker_id":1,"event":{"event_id":1,"data":{"removed":{"block_hashes":[12,13]}},"dp_rank":0}}}',
        '{"ok":false,"reason":"block_not_found"}',
      ],
      [
        '{"apply":{"worker_id":1,"storage_tier":"disk","event":{"event_id":1,"data":"cleared","dp_rank":0}}}',
        '{"ok":false,"reason":"other_tier"}',
      ],
      [
        '{"dump":true}',
        '{"events":[{"worker_id":"1","event":{"event_id":"0","data":{"stored":{"parent_hash":null,"blocks":[{"block_hash":"18446744073709551615","tokens_hash":"9143094415614847814"}]}},"dp_rank":0}}]}',
      ],
      ['{"clear_worker":"1"}', '{"ok":true}'],
      ['{"remove_worker":5}', '{"ok":true}'],
      ['{"find":[9143094415614847814]}', '{"scores":{}}'],
    ];
    for (const [line, answer] of lines) expect(await run(line)).toBe(answer);
  });

  it("finds what the real indexes of all releases found, script by script", async () => {
    const { cases } = golden("kv/radix.json");
    const wrong: string[] = [];
    let steps = 0;
    for (const { name, queries, steps: script } of cases) {
      const run = index.createCommand();
      for (const [number, step] of script.entries()) {
        await run(lineOf(step), "");
        if (!step.scores.every(Array.isArray)) continue; // releases differ
        steps++;
        const found: unknown[] = [];
        for (const { hashes } of queries) found.push(rowsOf(await run({ find: hashes }, "")));
        const expected = step.scores.map((rows: unknown[][]) => rows.map((row) => row.join(" ")).sort());
        if (JSON.stringify(found) !== JSON.stringify(expected)) wrong.push(`${name}, ${number}`);
      }
    }
    expect({ steps, wrong }).toEqual({ steps: 901, wrong: [] });
  });

  function lineOf({ op, worker_id, dp_rank, event_id, parent_hash, blocks, block_hashes }: any): JsonValue {
    if (op === "remove_worker") return { remove_worker: worker_id };
    if (op === "clear_all_blocks") return { clear_worker: worker_id };
    const data = op === "stored" ? { stored: { parent_hash, blocks } } : op === "removed" ? { removed: { block_hashes } } : "cleared";
    return { apply: { worker_id, event: { event_id, data, dp_rank } } };
  }

  function rowsOf(answer: object): string[] {
    const { scores } = answer as { scores: Record<string, Record<string, number>> };
    return Object.entries(scores)
      .flatMap(([worker, ranks]) => Object.entries(ranks).map(([rank, blocks]) => `${worker} ${rank} ${blocks}`))
      .sort();
  }

  it.each([
    ["1.2", '{"scores":{}}'],
    ["1.4", '{"scores":{"1":{"1":1}}}'],
  ])("clears as release %s does", async (release, answer) => {
    const run = runner(index.createCommand({ release }));
    for (const rank of [0, 1]) await run(stored("null", block("11", "1"), 1, rank));
    await run('{"apply":{"worker_id":1,"event":{"event_id":2,"data":"cleared","dp_rank":0}}}');
    expect(await run('{"find":[1]}')).toBe(answer);
  });

  it.each(['{"find":[-1]}', '{"find":[1],"dump":true}', '{"apply":{}}', '{"dump":false}', "{}", "1"])("refuses %s", async (line) => {
    await expect(runner(index.createCommand())(line)).rejects.toThrow();
  });
});

interface Selection {
  readonly costs: readonly (readonly [worker: string, rank: number, cost: number])[];
  readonly ties: readonly (readonly [worker: string, rank: number])[];
}

describe("mmr select", () => {
  const run = runner(select.createCommand());
  const idle = '{"worker_id":8328741188661731592,"dp_rank":0,"overlap_blocks":0,"prefill_tokens":0,"decode_blocks":0}';
  const cached = '{"worker_id":"2","dp_rank":1,"overlap_blocks":5,"prefill_tokens":0,"decode_blocks":0}';

  it("tells all costs in the order of the workers, and the ties", async () => {
    expect(await run(`{"config":{},"isl_tokens":160,"block_size":16,"workers":[${idle},${cached}]}`)).toBe(
      '{"worker_id":"2","dp_rank":1,"costs":[["8328741188661731592",0,20],["2",1,15]],"ties":[["2",1]]}',
    );
    expect(await run(`{"config":{"overlap_score_weight":0},"isl_tokens":160,"block_size":16,"workers":[${idle},${cached}]}`)).toContain(
      '"ties":[["8328741188661731592",0],["2",1]]',
    );
  });

  it("gives the costs of the real routers, and their picks among the ties, from the loads that they told", async () => {
    const { cases } = golden("kv/selector.json");
    const wrong: string[] = [];
    let picked = 0;
    for (const { name, isl, block_size, stored, config, override, results } of cases) {
      if (override !== null) continue; // a line has a config alone
      for (const { logits, by_release } of results) {
        for (const { release, loads, picks } of by_release) {
          const workers = loads.map(([worker_id, dp_rank, prefill, decode, requests = 0]: number[]) => {
            const overlap = stored.find(([worker, rank]: number[]) => worker === worker_id && rank === dp_rank)?.[2] ?? 0;
            const own = Math.max(0, isl - overlap * block_size);
            const running = { prefill_tokens: Math.max(0, prefill! - own), decode_blocks: decode, active_requests: requests };
            return { worker_id, dp_rank, overlap_blocks: overlap, ...running, new_decode_blocks: 0 };
          });
          const answer = (await select.createCommand()({ release, config, isl_tokens: isl, block_size, workers }, "")) as Selection;
          const ties = new Set(answer.ties.map(([worker, rank]) => `${worker}:${rank}`));
          const costs = new Map(answer.costs.map(([worker, rank, cost]) => [`${worker}:${rank}`, cost]));
          for (const [worker, rank, logit] of logits)
            if (Math.abs(costs.get(`${worker}:${rank}`)! - logit) > 1e-3) wrong.push(`${name}, ${release}: cost of ${worker}:${rank}`);
          if ((config.router_temperature ?? 0) > 0) continue;
          picked += picks.length;
          for (const [worker, rank] of picks) if (!ties.has(`${worker}:${rank}`)) wrong.push(`${name}: pick of ${release}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(picked).toBeGreaterThan(150);
  });

  it("counts blocks that the request shares with running ones where it is told", async () => {
    const shares = cached.replace("}", ',"new_decode_blocks":2}');
    expect(await run(`{"config":{},"isl_tokens":160,"block_size":16,"new_decode_blocks":4,"workers":[${idle},${shares}]}`)).toContain(
      '"costs":[["8328741188661731592",0,14],["2",1,7]]',
    );
  });

  it("draws the same worker for the same seed", async () => {
    const line = (seed: number) =>
      `{"config":{"router_temperature":1},"seed":${seed},"isl_tokens":160,"block_size":16,"workers":[${idle},${cached}]}`;
    const drawn = await Promise.all(Array.from({ length: 200 }, (_, seed) => run(line(seed))));
    expect(await run(line(7))).toBe(drawn[7]);
    const better = drawn.filter((answer) => answer.startsWith('{"worker_id":"2"')).length;
    expect(better).toBeGreaterThan(120);
    expect(better).toBeLessThan(180);
  });

  it.each([
    '{"isl_tokens":1,"block_size":1,"workers":[]}',
    `{"isl_tokens":-1,"block_size":1,"workers":[${cached}]}`,
    `{"block_size":1,"workers":[${cached}]}`,
  ])("refuses %s", async (line) => {
    await expect(run(line)).rejects.toThrow();
  });
});
