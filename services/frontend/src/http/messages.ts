// POST /v1/messages: translated to a chat, answered in Anthropic's form. POST /v1/messages/count_tokens: how long its prompt is.
//
// Source: Dynamo 1.6.1; evidence: golden frontend anth.*. The count is that of the rendered prompt; 1.6.1 guesses it from the length.
import { AppError } from "@mm-router/protocol";
import { chatOfCount, chatOfMessages } from "../anthropic/chat-of-messages.ts";
import { parseCountRequest, parseMessagesRequest } from "../anthropic/messages-request.ts";
import { messagesSurface } from "../anthropic/messages-surface.ts";
import type { AnswerDeps } from "./answer-deps.ts";
import { answerAsChat } from "./chat-completions.ts";
import type { Exchange } from "./exchange.ts";
import { countPromptTokens } from "./prompt-count.ts";
import { readJsonBody } from "./request-body.ts";

/** @throws AppError for what ends the request before or while it is answered */
export async function answerMessages(exchange: Exchange, deps: AnswerDeps): Promise<void> {
  const request = parseMessagesRequest(await readJsonBody(exchange.request, deps.bodyLimits));
  const chat = chatOfMessages(request, reasons(request.members.model, deps));
  await answerAsChat(chat, messagesSurface, exchange, deps);
}

/** @throws AppError as the request itself would */
export async function answerCountTokens(exchange: Exchange, deps: AnswerDeps): Promise<void> {
  const members = parseCountRequest(await readJsonBody(exchange.request, deps.bodyLimits));
  const tokens = await countPromptTokens(chatOfCount(members, reasons(members.model, deps)), exchange, deps);
  exchange.json({ input_tokens: tokens });
}

/** Whether the model has a reasoning parser. @throws AppError `model_not_found` in Anthropic's words */
function reasons(model: string, { models }: AnswerDeps): boolean {
  const [set] = models.named(model);
  if (set === undefined) throw new AppError("model_not_found", `Model '${model}' not found`);
  return Boolean(set.card.runtime_config?.reasoning_parser);
}
