// How many tokens the prompt of a chat has, without asking a worker.
import { AppError } from "@mm-router/protocol";
import type { ChatRequest } from "../preprocess/chat-request.ts";
import { chatPrompt } from "../preprocess/preprocessor.ts";
import { validateChat } from "../preprocess/validation.ts";
import type { AnswerDeps } from "./answer-deps.ts";
import type { Exchange } from "./exchange.ts";

/** Pictures count as their placeholders. @throws AppError as the request itself would */
export async function countPromptTokens(request: ChatRequest, exchange: Exchange, deps: AnswerDeps): Promise<number> {
  validateChat(request, deps.validation);
  const { model } = request.members;
  const workers = deps.models.find(model, "chat");
  exchange.observer.identified(model, "unary");
  if (workers.text === undefined)
    throw new AppError("invalid_request", `the workers of model \`${model}\` take text: nobody here knows its tokens`);
  return (await chatPrompt(request, workers.text, workers, deps.requestLimits)).tokenIds.length;
}
