// The routes that ask workers: which path is answered by what, and when it is there.
//
//   /v1/chat/completions, /v1/completions      with a model of their kind
//   /v1/responses, /v1/messages                from the start, until the last chat model has gone
//   /v1/embeddings                             always
//
// Source: Dynamo 1.6.1; evidence: golden frontend lifecycle (gating).
import { anthropicError } from "../anthropic/message-object.ts";
import type { AnswerDeps } from "./answer-deps.ts";
import { answerChat } from "./chat-completions.ts";
import { answerCompletion } from "./completions.ts";
import { answerEmbeddings } from "./embeddings.ts";
import { errorBody, type ErrorBodyFacts } from "./error-response.ts";
import type { Exchange } from "./exchange.ts";
import type { InferenceRoute } from "./inference.ts";
import { answerCountTokens, answerMessages } from "./messages.ts";
import { answerInputTokens, answerResponses } from "./responses.ts";

type Answering = (exchange: Exchange, deps: AnswerDeps) => Promise<void>;

export function inferenceRoutes(deps: AnswerDeps): [path: string, route: InferenceRoute][] {
  const { paths } = deps;
  const by = (answer: Answering) => ({ answer: (exchange: Exchange) => answer(exchange, deps) });
  const closed = { opens: "with a model" } as const;
  const responses = { endpoint: "responses", kind: "chat", opens: "until the last one goes" } as const;
  const messages = { ...responses, endpoint: "anthropic_messages", errorForm: anthropicError } as const;
  return [
    [paths.chat, { endpoint: "chat_completions", kind: "chat", ...closed, ...by(answerChat) }],
    [paths.completions, { endpoint: "completions", kind: "completion", ...closed, ...by(answerCompletion) }],
    [paths.embeddings, { endpoint: "embeddings", kind: "embedding", opens: "always", errorForm: plainError, ...by(answerEmbeddings) }],
    [paths.responses, { ...responses, ...by(answerResponses) }],
    [`${paths.responses}/input_tokens`, { ...responses, ...by(answerInputTokens) }],
    ...(deps.anthropicApi ? anthropicRoutes() : []),
  ];

  function anthropicRoutes(): [string, InferenceRoute][] {
    return [
      [paths.messages, { ...messages, ...by(answerMessages) }],
      [`${paths.messages}/count_tokens`, { ...messages, ...by(answerCountTokens) }],
    ];
  }
}

/** Embeddings do not tell whose error it was. */
function plainError({ backendStatus: _, ...facts }: ErrorBodyFacts): object {
  return errorBody(facts);
}
