// Text requests that are known to end a worker process: the engine refuses them before it starts, and workers ≤ 1.5 then exit
// with code 1 (golden/worker/direct-*.json, errors-*.json). They are answered here with a 400. For requests with images the
// image analysis says the same, since it knows how long they become.
import { AppError } from "@mm-router/protocol";
import type { ReceivedRequest } from "./received-request.ts";
import type { Worker } from "./workers/worker.ts";

/** The error for the client, or undefined when the worker may have the request. */
export function lethalRequest({ tokenIds, images }: ReceivedRequest, { dialect, promptTokensMax }: Worker): AppError | undefined {
  if (!dialect.diesOnBadRequests || images.length > 0) return undefined;
  if (tokenIds.length === 0) return new AppError("invalid_request", "the prompt has no tokens");
  if (promptTokensMax === undefined || tokenIds.length <= promptTokensMax) return undefined;
  return new AppError("context_length_exceeded", `the prompt has ${tokenIds.length} tokens; the model takes ${promptTokensMax}`);
}
