// Which worker served a request: read from the engines' own logs, not from anything that a router says.
import type { DynamoWorker, EngineCall } from "@mm-router/testkit";

/** For each time an engine was given a prompt of that length, its worker's index; earlier calls of a worker first. */
export function workersThatSaw(workers: readonly DynamoWorker[], promptTokens: number): number[] {
  return workers.flatMap((worker, index) => generateCalls(worker).flatMap((call) => (call.prompt_tokens === promptTokens ? [index] : [])));
}

/** As `workersThatSaw`, for requests with one image, by what names it in the engine. */
export function workersThatSawImage(workers: readonly DynamoWorker[], key: string): number[] {
  return workers.flatMap((worker, index) => generateCalls(worker).flatMap((call) => (call.mm?.[0]?.[0] === key ? [index] : [])));
}

function generateCalls(worker: DynamoWorker): readonly EngineCall[] {
  return worker.engineCalls().filter(({ op }) => op === "generate");
}
