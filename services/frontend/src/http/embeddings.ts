// POST /v1/embeddings: the inputs as tokens to an Embedding worker, its vectors back.
//
// Source: Dynamo 1.6.1; evidence: golden frontend emb.*.
import { AppError, stringifyJsonLossless } from "@mm-router/protocol";
import type { WorkerSet } from "../models/worker-set.ts";
import { EmbeddingReader, embeddingAnswer, type Vectors } from "../postprocess/embeddings.ts";
import { relay } from "../postprocess/relay.ts";
import { type EmbeddingRequest, embeddingBody, embeddingInputs, parseEmbeddingRequest } from "../preprocess/embedding-request.ts";
import type { RequestLimits } from "../preprocess/limits.ts";
import { encodedPrompts } from "../preprocess/preprocessor.ts";
import { requestHints } from "../preprocess/request-hints.ts";
import type { AnswerDeps } from "./answer-deps.ts";
import type { Exchange } from "./exchange.ts";
import { readJsonBody } from "./request-body.ts";
import { learning } from "./token-jobs.ts";

/** @throws AppError for what ends the request */
export async function answerEmbeddings(exchange: Exchange, deps: AnswerDeps): Promise<void> {
  const request = parseEmbeddingRequest(await readJsonBody(exchange.request, deps.bodyLimits));
  const { members } = request;
  const workers = deps.models.find(members.model, "embedding");
  exchange.observer.identified(members.model, "unary");
  const hints = requestHints(exchange.request.headers, {}, deps.hints);
  const { body, tokens } = await embeddingCall(request, workers, deps.requestLimits);
  exchange.observer.dispatched(tokens);
  const { contextId, signal, span } = exchange;
  const stream = await workers.dispatch({ contextId, body, signal, metadata: hints.metadata, headers: span.headers }, hints);
  const items: Vectors[] = [];
  const answer = { add: (vectors: Vectors) => items.push(vectors), annotation: () => {}, flush: async () => {} };
  await learning(workers, stream, relay(stream, new EmbeddingReader(), answer));
  exchange.observer.progress(0);
  const asked = { inputs: embeddingInputs(members).length, base64: members.encoding_format === "base64" };
  exchange.json(embeddingAnswer(items, members.model, asked));
}

async function embeddingCall(
  request: EmbeddingRequest,
  workers: WorkerSet,
  limits: RequestLimits,
): Promise<{ readonly body: Buffer; readonly tokens: number }> {
  const { text } = workers;
  const inputs = embeddingInputs(request.members);
  if (inputs.length > limits.promptsMax) {
    throw new AppError("invalid_request", `the request has ${inputs.length} inputs, the limit is ${limits.promptsMax}`);
  }
  if (text === undefined) return { body: Buffer.from(stringifyJsonLossless(request.raw)), tokens: 0 };
  const ids = await encodedPrompts(inputs, text, workers.contextLength);
  return { body: embeddingBody(request, ids, workers.sum), tokens: ids.reduce((sum, each) => sum + each.length, 0) };
}
