// POST /v1/responses: translated to a chat, answered in its own form. POST /v1/responses/input_tokens: how long its prompt is.
//
// Source: Dynamo 1.6.1; evidence: golden frontend resp.*. The count is that of the rendered prompt; 1.6.1 guesses it from the length.
import type { LosslessJson } from "@mm-router/protocol";
import { chatOfResponses } from "../responses/chat-of-responses.ts";
import { parseResponsesRequest } from "../responses/responses-request.ts";
import { responsesSurface } from "../responses/responses-surface.ts";
import type { AnswerDeps } from "./answer-deps.ts";
import { answerAsChat } from "./chat-completions.ts";
import type { Exchange } from "./exchange.ts";
import { countPromptTokens } from "./prompt-count.ts";
import { readJsonBody } from "./request-body.ts";

/** @throws AppError for what ends the request before or while it is answered */
export async function answerResponses(exchange: Exchange, deps: AnswerDeps): Promise<void> {
  const request = parseResponsesRequest(await readJsonBody(exchange.request, deps.bodyLimits));
  await answerAsChat(chatOfResponses(request), responsesSurface(request), exchange, deps);
}

/** @throws AppError as the request itself would */
export async function answerInputTokens(exchange: Exchange, deps: AnswerDeps): Promise<void> {
  const body = await readJsonBody(exchange.request, deps.bodyLimits);
  const tokens = hasInput(body) ? await countPromptTokens(chatOfResponses(parseResponsesRequest(body)), exchange, deps) : 0;
  exchange.json({ object: "response.input_tokens", input_tokens: tokens });
}

/** Nothing to be counted is no mistake here. */
function hasInput(body: LosslessJson): boolean {
  return !(body instanceof Map) || (body.get("input") ?? null) !== null || (body.get("instructions") ?? null) !== null;
}
