// What the engines of real workers were told about clients that left.
import { type DynamoWorker, waitFor } from "@mm-router/testkit";

const leavers = 5;
const atLeastTold = 3;

/**
 * Lets five clients leave, one after the other, and waits until the engines have heard of three.
 *
 * Not of each: `kill` makes a worker's runtime drop the handler's generator, and now and then that ends the task which would
 * have aborted before it has run (dynamo.trtllm 1.4.2, `_cancellation_monitor`). On a busy machine real workers forgot 3 of 540
 * behind a real frontend without any router, and 7 of 1 880 behind ours.
 */
export async function untilAborted(workers: readonly DynamoWorker[], leave: () => Promise<void>): Promise<void> {
  const aborts = () => workers.flatMap((worker) => worker.engineCalls()).filter(({ op }) => op === "abort").length;
  const before = aborts();
  for (let i = 0; i < leavers; i++) await leave();
  await waitFor({ what: `${atLeastTold} of ${leavers} aborts` }, async () => aborts() - before >= atLeastTold || undefined);
}
