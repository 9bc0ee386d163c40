// Asks a served index, ours or Dynamo's, which workers hold leading blocks.
import { decodeIndexerAnswer, encodeIndexerQuery } from "@mm-router/protocol";
import type { Runtime } from "@mm-router/runtime";
import { internalModel, type Place, waitFor } from "@mm-router/testkit";
import { askOnce } from "./our-client.ts";

/** An index of a cell: the process that answers, under the workers' component. */
export interface Index {
  readonly runtime: Runtime;
  readonly place: Place;
  readonly component: string;
  readonly instanceId: bigint;
}

/** Leading blocks per worker id; workers that hold none are absent. */
export type Scores = ReadonlyMap<bigint, number>;

/** Waits until the index gives a worker so many blocks; returns all scores of that moment. */
export async function untilHeld(index: Index, blockHashes: BigUint64Array, workerId: bigint, blocks: number): Promise<Scores> {
  return waitFor({ what: `index ${index.instanceId} to give worker ${workerId} ${blocks} blocks`, deadlineMs: 30_000 }, async () => {
    const scores = await queryIndex(index, blockHashes);
    return scores.get(workerId) === blocks ? scores : undefined;
  });
}

export async function queryIndex(index: Index, blockHashes: BigUint64Array, modelName = internalModel): Promise<Scores> {
  const { runtime, place, component, instanceId } = index;
  const query = encodeIndexerQuery("json", { modelName, blockHashes });
  const frame = await askOnce(runtime, place, { component, endpoint: "kv_indexer_query", instanceId }, query);
  const answer = decodeIndexerAnswer("json", frame);
  if (answer.kind === "error") throw new Error(`the index refused: ${answer.message}`);
  return new Map(answer.scores.map(({ worker, blocks }) => [worker.workerId, blocks]));
}
