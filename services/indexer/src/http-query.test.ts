// The HTTP questions against the exact answers of real standalone indexers, 1.4.2 and 1.6.1.
import { blockHashes, RadixTree } from "@mm-router/kv";
import { type BlockHash, type ExternalHash, type InstanceId, parseJson, type StoredBlock, stringifyJson } from "@mm-router/protocol";
import { createMetrics } from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { httpApp } from "./http.ts";

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

function appFor(models: readonly string[], index = recordedIndex()) {
  const workers = [1n, 2n].map((id) => ({ workerId: id as InstanceId, models, blockSize: 4, ranks: [] }));
  return httpApp({ index, metrics: createMetrics({ processMetrics: false }), workers: () => workers });
}

async function post(app: ReturnType<typeof appFor>, path: string, body: string): Promise<{ status: number; text: string }> {
  const answer = await app.request(path, { method: "POST", body });
  return { status: answer.status, text: await answer.text() };
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

it("knows nothing of another routing group", async () => {
  const { status } = await post(appFor(["m"]), "/query", '{"model_name":"m","token_ids":[1,2,3,4],"routing_group":"g"}');
  expect(status).toBe(404);
});
