// The answer of a Text worker: its own chunks, in the form of the API that was asked, streamed or folded.
import { ChatChunks, CompletionChunks } from "../postprocess/chunks.ts";
import { ChatChunkPieces, StreamedText, TextReader, type TextChunk, UnaryText } from "../postprocess/text-chunks.ts";
import { type Answer, relay } from "../postprocess/relay.ts";
import { FoldedChat } from "../postprocess/unary-answer.ts";
import { anyWorker, type WorkerSet } from "../models/worker-set.ts";
import type { ChatRequest } from "../preprocess/chat-request.ts";
import type { CompletionRequest } from "../preprocess/completion-request.ts";
import type { RequestHints } from "../preprocess/request-hints.ts";
import { textRequestBody } from "../preprocess/text-request.ts";
import type { ChatSurface } from "./chat-surface.ts";
import { pastEarlyError } from "./early-error.ts";
import type { Exchange } from "./exchange.ts";
import { openAiFailure, type StreamSettings, tellInStream } from "./token-answer.ts";
import { learning } from "./token-jobs.ts";

export interface TextRequest<R extends ChatRequest | CompletionRequest = ChatRequest | CompletionRequest> {
  readonly request: R;
  readonly workers: WorkerSet;
  readonly hints: RequestHints;
}

type Tell = (answer: Answer<TextChunk>) => Promise<void>;

/** OpenAI's own chat and completions. @throws AppError for what ends the request; inside a stream it was told before */
export async function answerFromText(asked: TextRequest, exchange: Exchange, settings: StreamSettings): Promise<void> {
  const { request } = asked;
  const tell = await dispatchText(asked, exchange, settings);
  if (request.members.stream !== true) {
    const answer = new UnaryText(request.kind);
    await tell(answer);
    return exchange.json(answer.body());
  }
  const events = exchange.events(settings.keepAliveMs);
  if (exchange.parsesEveryEvent) events.accompanyAnnotations(emptyChunk(request, exchange));
  await tellInStream(events, openAiFailure(events), exchange, async () => {
    if (request.members.nvext?.annotations?.includes("request_id")) {
      events.annotation("request_id", [JSON.stringify(exchange.contextId)]);
    }
    await tell(new StreamedText(events, request.kind));
  });
}

/** In the form of chunks.ts: the worker's own names are not known before its first chunk. */
function emptyChunk({ kind, members: { model } }: TextRequest["request"], { contextId, receivedAtMs }: Exchange): string {
  const created = Math.floor(receivedAtMs / 1000);
  return kind === "chat"
    ? new ChatChunks({ id: `chatcmpl-${contextId}`, model, created }).empty()
    : new CompletionChunks({ id: `cmpl-${contextId}`, model, created }).empty();
}

/** A chat in the form of another API. @throws AppError for what ends the request; inside a stream it was told before */
export async function answerTextAs(
  surface: ChatSurface,
  asked: TextRequest<ChatRequest>,
  exchange: Exchange,
  settings: StreamSettings,
): Promise<void> {
  const { members } = asked.request;
  const identity = { id: surface.newId(exchange.contextId), model: members.model, created: Math.floor(exchange.receivedAtMs / 1000) };
  const tell = await dispatchText(asked, exchange, settings);
  if (members.stream !== true) {
    const folded = new FoldedChat();
    const pieces = new ChatChunkPieces(folded);
    await tell(pieces);
    return exchange.json(surface.body(folded, identity, pieces.usage));
  }
  const events = exchange.events(settings.keepAliveMs);
  const stream = surface.stream(events, identity, 0);
  await tellInStream(events, stream, exchange, async () => {
    const pieces = new ChatChunkPieces(stream);
    await tell(pieces);
    stream.end(pieces.usage, true);
  });
}

async function dispatchText({ request, workers, hints }: TextRequest, exchange: Exchange, settings: StreamSettings): Promise<Tell> {
  const { contextId, signal, observer, span } = exchange;
  observer.dispatched(0);
  const call = { contextId, body: textRequestBody(request), signal, metadata: hints.metadata, headers: span.headers };
  // A Text worker chooses ranks and reads hints itself, and takes a pinned request unchecked.
  const taken = await workers.dispatch(call, { ...anyWorker, session: hints.session });
  const peeks = request.members.stream === true && settings.earlyErrorMs > 0;
  const stream = peeks ? await learning(workers, taken, pastEarlyError(taken, settings.earlyErrorMs)) : taken;
  const reader = new TextReader(request.kind, () => observer.progress(0));
  return (answer) => learning(workers, stream, relay(stream, reader, answer));
}
