// The HTTP questions against the exact answers of real standalone indexers, 1.4.2 and 1.6.1.
import { blockHashes, RadixTree } from "@mm-router/kv";
import { type BlockHash, type ExternalHash, type InstanceId, parseJson, type StoredBlock, stringifyJson } from "@mm-router/protocol";
import { createMetrics } from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { httpApp } from "./http.ts";
import type { RankStatus } from "@mm-router/kv-indexer";

interface Recorded {
  readonly path: string;
  readonly body: unknown;
  readonly note: string | null;
  readonly status: number;
  readonly content_type: string | null;
  readonly response_text: string;
}

const { runs } = golden<{ runs: { release: string; requests: Recorded[] }[] }>("kv/indexer-http.json");
const released = (release: string): Recorded[] => runs.find((run) => run.release === release)!.requests;
const isQuery = ({ path, body }: Recorded): boolean => path.startsWith("/query") && body !== null;

/** What the recorded indexer held: block size 4; worker 1: 12 tokens and an adapter's block, worker 2: 8 on rank 0, 4 on rank 1. */
function recordedIndex(): RadixTree {
  const index = new RadixTree();
  const store = (worker: bigint, dpRank: number, tokens: number[], loraName?: string): void => {
    const hashes = blockHashes({ tokens: Uint32Array.from(tokens), blockSize: 4, ...(loraName !== undefined && { loraName }) });
    const blocks: StoredBlock[] = Array.from(hashes, (hash) => ({ block_hash: hash as ExternalHash, tokens_hash: hash as BlockHash }));
    index.apply({
      worker_id: worker as InstanceId,
      event: { event_id: 1n, dp_rank: dpRank, data: { stored: { parent_hash: null, blocks } } },
    });
  };
  store(1n, 0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  store(1n, 0, [5, 6, 7, 8], "adapter-a");
  store(2n, 0, [0, 1, 2, 3, 4, 5, 6, 7]);
  store(2n, 1, [0, 1, 2, 3]);
  return index;
}

function rankOf(id: bigint): RankStatus {
  const worker = { workerId: id as InstanceId, dpRank: 0 };
  return { worker, blocks: 3, state: "live", lastEventId: 5n, silentSeconds: 10 * Number(id) };
}

function appFor(models: readonly string[], index = recordedIndex()) {
  const workers = [1n, 2n].map((id) => ({ workerId: id as InstanceId, models, blockSize: 4, ranks: [rankOf(id)] }));
  return httpApp({ index, metrics: createMetrics({ processMetrics: false }), workers: () => workers, lag: () => 7 });
}

async function post(
  app: ReturnType<typeof appFor>,
  path: string,
  body: string,
): Promise<{ status: number; text: string; headers: Headers }> {
  const answer = await app.request(path, { method: "POST", body });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

describe.each(["1.4.2", "1.6.1"])("questions over HTTP, as a real indexer of %s answers them", (release) => {
  const until = released(release).findIndex(({ note }) => note?.startsWith("after a removal") === true);
  const queries = released(release).slice(0, until).filter(isQuery);

  it("are answered with the same scores, status and errors", async () => {
    expect(queries).toHaveLength(10);
    for (const recorded of queries) {
      const app = appFor(recorded.note === "unknown model" ? ["other"] : ["m"]);
      const { status, text } = await post(app, recorded.path, stringifyJson(recorded.body));
      expect([recorded.note, status]).toEqual([recorded.note, recorded.status]);
      if (recorded.content_type === "application/json") expect(parseJson(text)).toEqual(parseJson(recorded.response_text));
    }
  });
});

it("refuses a body of another form with 422, and one that is no JSON", async () => {
  const app = appFor(["m"]);
  for (const body of ["", "{", "[]", '{"model_name":"m"}', '{"model_name":"m","token_ids":[-1]}', '{"model_name":"m","token_ids":["1"]}']) {
    expect((await post(app, "/query", body)).status).toBe(422);
  }
});

it("answers a batch with what each query gets alone, in order, and how old the knowledge is", async () => {
  const app = appFor(["m"]);
  const queries = [
    '{"model_name":"m","token_ids":[0,1,2,3,4,5,6,7]}',
    '{"model_name":"other","token_ids":[1]}',
    '{"model_name":"m","token_ids":[9,9,9,9]}',
  ];
  const alone = await Promise.all(queries.map(async (query) => parseJson((await post(app, "/query", query)).text)));
  const batch = await post(app, "/query", `[${queries.join()}]`);
  const rank = (silent_seconds: number) => ({ "0": { blocks: 3, state: "live", last_event_id: 5, silent_seconds } });
  expect(parseJson(batch.text)).toEqual({ answers: alone, staleness: { log_lag_messages: 7, workers: { "1": rank(10), "2": rank(20) } } });
  expect(alone[0]).toMatchObject({ scores: { "1": { "0": 8 }, "2": { "0": 8, "1": 4 } } });
});

it("tells in the headers of a single answer how old the knowledge is", async () => {
  const { headers } = await post(appFor(["m"]), "/query", '{"model_name":"m","token_ids":[1]}');
  expect([headers.get("x-mmr-log-lag-messages"), headers.get("x-mmr-silent-seconds")]).toEqual(["7", "10.000"]);
});

it("knows nothing of another routing group", async () => {
  const { status } = await post(appFor(["m"]), "/query", '{"model_name":"m","token_ids":[1,2,3,4],"routing_group":"g"}');
  expect(status).toBe(404);
});
