// Asks a served index, ours or Dynamo's, which workers hold leading blocks.
import { decodeIndexerAnswer, encodeIndexerQuery } from "@mm-router/protocol";
import type { Runtime } from "@mm-router/runtime";
import { internalModel, type Place } from "@mm-router/testkit";
import { askOnce } from "./our-client.ts";

/** Leading blocks per worker id; workers that hold none are absent. */
export async function queryIndex(
  runtime: Runtime,
  place: Place,
  component: string,
  instanceId: bigint,
  blockHashes: BigUint64Array,
): Promise<ReadonlyMap<bigint, number>> {
  const query = encodeIndexerQuery("json", { modelName: internalModel, blockHashes });
  const frame = await askOnce(runtime, place, { component, endpoint: "kv_indexer_query", instanceId }, query);
  const answer = decodeIndexerAnswer("json", frame);
  if (answer.kind === "error") throw new Error(`the index refused: ${answer.message}`);
  return new Map(answer.scores.map(({ worker, blocks }) => [worker.workerId, blocks]));
}
