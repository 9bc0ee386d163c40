// The answer of a Text worker: its own chunks, in our form, streamed or folded.
import { StreamedText, TextReader, UnaryText } from "../postprocess/text-chunks.ts";
import { relay } from "../postprocess/relay.ts";
import type { WorkerSet } from "../models/worker-set.ts";
import type { ChatRequest } from "../preprocess/chat-request.ts";
import type { CompletionRequest } from "../preprocess/completion-request.ts";
import type { RequestHints } from "../preprocess/request-hints.ts";
import { textRequestBody } from "../preprocess/text-request.ts";
import type { Exchange } from "./exchange.ts";
import { type StreamSettings, tellInStream } from "./token-answer.ts";
import { learning } from "./token-jobs.ts";

export interface TextRequest {
  readonly request: ChatRequest | CompletionRequest;
  readonly workers: WorkerSet;
  readonly hints: RequestHints;
}

/** @throws AppError for what ends the request; inside a stream it was told before */
export async function answerFromText(
  { request, workers, hints }: TextRequest,
  exchange: Exchange,
  settings: StreamSettings,
): Promise<void> {
  const { contextId, signal, observer } = exchange;
  observer.dispatched(0);
  const call = { contextId, body: textRequestBody(request), signal, metadata: hints.metadata };
  // A Text worker chooses ranks and reads hints itself, and takes a pinned request unchecked.
  const stream = await workers.dispatch(call, { instanceId: undefined, dpRank: undefined });
  const reader = new TextReader(request.kind, () => observer.progress(0));
  if (request.members.stream !== true) {
    const answer = new UnaryText(request.kind);
    await learning(workers, stream, relay(stream, reader, answer));
    return exchange.json(answer.body());
  }
  const events = exchange.events(settings.keepAliveMs);
  await tellInStream(events, exchange, async () => {
    if (request.members.nvext?.annotations?.includes("request_id")) events.annotation("request_id", [JSON.stringify(contextId)]);
    await learning(workers, stream, relay(stream, reader, new StreamedText(events, request.kind)));
  });
}
