// POST /v1/chat/completions: body → shape → rules → model → prompt → worker → answer.
//
// Other APIs that are translated to a chat begin at `answerAsChat` and have an answer form of their own (chat-surface.ts).
// Source: Dynamo 1.6.1; evidence: golden frontend chat.*, val*.*, item.*, text.*, tool.*, reason.*.
import { chatForm, expectedFormat } from "../postprocess/chat-form.ts";
import { type ChatMembers, type ChatRequest, parseChatRequest } from "../preprocess/chat-request.ts";
import { imageNames } from "../preprocess/image-names.ts";
import { withoutNvext } from "../preprocess/nvext.ts";
import { chatPrompt } from "../preprocess/preprocessor.ts";
import { requestHints } from "../preprocess/request-hints.ts";
import { thinkingNote } from "../preprocess/thinking-note.ts";
import { validateChat } from "../preprocess/validation.ts";
import type { AnswerDeps } from "./answer-deps.ts";
import type { ChatSurface } from "./chat-surface.ts";
import { openAiChat } from "./chat-surface.ts";
import type { Exchange } from "./exchange.ts";
import { readJsonBody } from "./request-body.ts";
import { answerFromText, answerTextAs } from "./text-answer.ts";
import { answerChatTokens } from "./token-answer.ts";
import type { TokenRequest } from "./token-jobs.ts";

/** @throws AppError for what ends the request before or while it is answered */
export async function answerChat(exchange: Exchange, deps: AnswerDeps): Promise<void> {
  const request = parseChatRequest(await readJsonBody(exchange.request, deps.bodyLimits));
  await answerAsChat(request, openAiChat(deps), exchange, deps);
}

/** @throws AppError for what ends the request before or while it is answered */
export async function answerAsChat(asked: ChatRequest, surface: ChatSurface, exchange: Exchange, deps: AnswerDeps): Promise<void> {
  const request = deps.hints.nvext ? asked : withoutNvext(asked);
  validateChat(request, deps.validation);
  const { members } = request;
  const workers = deps.models.find(members.model, "chat");
  exchange.observer.identified(members.model, members.stream === true ? "stream" : "unary");
  const hints = requestHints(exchange.request.headers, members, deps.hints);
  const { text } = workers;
  if (text === undefined) {
    const textual = { request, workers, hints };
    return surface.isOpenAiChat ? answerFromText(textual, exchange, deps.stream) : answerTextAs(surface, textual, exchange, deps.stream);
  }
  const tokens = await chatTokenRequest(request, { hints, workers, text }, deps);
  return answerChatTokens(tokens, surface, exchange, deps.stream);
}

/** What a chat asks of Tokens workers. @throws AppError when its prompt is refused */
export async function chatTokenRequest(
  request: ChatRequest,
  { hints, workers, text }: Pick<TokenRequest, "hints" | "workers" | "text">,
  deps: Pick<AnswerDeps, "requestLimits" | "imageIdentity" | "streamsForcedCalls" | "migration">,
): Promise<TokenRequest> {
  const { requestLimits, imageIdentity, streamsForcedCalls, migration } = deps;
  const prompt = await chatPrompt(request, text, workers, requestLimits);
  const names = await imageNames(prompt.media, request.members, { imageIdentity, ...requestLimits });
  const thinking = thinkingNote(request, workers.card);
  const format = expectedFormat(request.members, workers.card);
  const hidesMarkers = format?.specialMarkers === true || format?.markers.some((marker) => text.isSpecialToken(marker)) === true;
  const members = hidesMarkers ? { skip_special_tokens: false, ...request.members } : request.members;
  return {
    api: "chat",
    model: members.model,
    members,
    prompts: [{ ...prompt, imageNames: names }],
    hints,
    workers,
    text,
    migration,
    ...logprobsOf(members),
    thinking,
    form: chatForm(members, workers.card, { thinks: thinking?.thinks, streamsForcedCalls }),
  };
}

/** `top_logprobs` alone shows what the worker gives, but asks it for nothing; `logprobs` alone asks for one. */
function logprobsOf({ logprobs, top_logprobs: top }: ChatMembers): Pick<TokenRequest, "logprobs" | "workerLogprobs"> {
  const shown = logprobs === true || top !== undefined ? { top: top ?? 1 } : undefined;
  return { logprobs: shown, workerLogprobs: logprobs === true ? (top ?? 1) : undefined };
}
