// POST /v1/completions: as chat, with the prompt as text or token ids, one or several.
//
// Source: Dynamo 1.6.1; evidence: golden frontend cmpl.*, ctx.*, text.cmpl*.
import { parseCompletionRequest } from "../preprocess/completion-request.ts";
import { withoutNvext } from "../preprocess/nvext.ts";
import { completionPrompts } from "../preprocess/preprocessor.ts";
import { requestHints } from "../preprocess/request-hints.ts";
import { validateCompletion } from "../preprocess/validation.ts";
import type { AnswerDeps } from "./answer-deps.ts";
import type { Exchange } from "./exchange.ts";
import { readJsonBody } from "./request-body.ts";
import { answerFromText } from "./text-answer.ts";
import { answerCompletionTokens } from "./token-answer.ts";

/** @throws AppError for what ends the request before or while it is answered */
export async function answerCompletion(exchange: Exchange, deps: AnswerDeps): Promise<void> {
  const asked = parseCompletionRequest(await readJsonBody(exchange.request, deps.bodyLimits));
  const request = deps.hints.nvext ? asked : withoutNvext(asked);
  validateCompletion(request, deps.validation);
  const { members } = request;
  const workers = deps.models.find(members.model, "completion");
  exchange.observer.identified(members.model, members.stream === true ? "stream" : "unary");
  const hints = requestHints(exchange.request.headers, members, deps.hints);
  const { text } = workers;
  if (text === undefined) return answerFromText({ request, workers, hints }, exchange, deps.stream);
  const prompts = await completionPrompts(members, text, workers, deps.requestLimits);
  const { logprobs: top, ...sampling } = members;
  const logprobs = top === undefined ? undefined : { top };
  const job = {
    api: "completion",
    model: members.model,
    members: sampling,
    prompts,
    hints,
    workers,
    text,
    migration: deps.migration,
    logprobs,
    workerLogprobs: top,
  } as const;
  return answerCompletionTokens(job, exchange, deps.stream);
}
