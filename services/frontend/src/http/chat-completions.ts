// POST /v1/chat/completions: body → shape → rules → model → prompt → worker → answer.
//
// Source: Dynamo 1.6.1; evidence: golden frontend chat.*, val*.*, item.*, text.*.
import { type ChatMembers, type ChatRequest, parseChatRequest } from "../preprocess/chat-request.ts";
import type { RequestLimits } from "../preprocess/limits.ts";
import { chatPrompt } from "../preprocess/preprocessor.ts";
import { requestHints } from "../preprocess/request-hints.ts";
import { validateChat } from "../preprocess/validation.ts";
import type { AnswerDeps } from "./answer-deps.ts";
import type { Exchange } from "./exchange.ts";
import { readJsonBody } from "./request-body.ts";
import { answerFromText } from "./text-answer.ts";
import { answerFromTokens } from "./token-answer.ts";
import type { TokenRequest } from "./token-jobs.ts";

/** @throws AppError for what ends the request before or while it is answered */
export async function answerChat(exchange: Exchange, deps: AnswerDeps): Promise<void> {
  const request = parseChatRequest(await readJsonBody(exchange.request, deps.bodyLimits));
  validateChat(request, deps.validation);
  const { members } = request;
  const workers = deps.models.find(members.model, "chat");
  exchange.observer.identified(members.model, members.stream === true ? "stream" : "unary");
  const hints = requestHints(exchange.request.headers, members, deps.hints);
  const { text } = workers;
  if (text === undefined) return answerFromText({ request, workers, hints }, exchange, deps.stream);
  return answerFromTokens(await chatTokenRequest(request, { hints, workers, text }, deps.requestLimits), exchange, deps.stream);
}

/** What a chat asks of Tokens workers. @throws AppError when its prompt is refused */
export async function chatTokenRequest(
  request: ChatRequest,
  { hints, workers, text }: Pick<TokenRequest, "hints" | "workers" | "text">,
  limits: RequestLimits,
): Promise<TokenRequest> {
  const { members } = request;
  const prompts = [await chatPrompt(request, text, workers, limits)];
  return { api: "chat", model: members.model, members, prompts, hints, workers, text, ...logprobsOf(members) };
}

/** `top_logprobs` alone shows what the worker gives, but asks it for nothing; `logprobs` alone asks for one. */
function logprobsOf({ logprobs, top_logprobs: top }: ChatMembers): Pick<TokenRequest, "logprobs" | "workerLogprobs"> {
  const shown = logprobs === true || top !== undefined ? { top: top ?? 1 } : undefined;
  return { logprobs: shown, workerLogprobs: logprobs === true ? (top ?? 1) : undefined };
}
