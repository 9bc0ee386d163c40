// What a single request may be, beyond the rules that a real frontend has.
import { AppError } from "@mm-router/protocol";

export interface RequestLimits {
  /** Images in one request. */
  readonly imagesMax: number;
  /** Prompts in one completion request; each is a request to a worker. */
  readonly promptsMax: number;
  /** Characters of one `data:` URL (`DYN_MM_MAX_DATA_URL_MB`). */
  readonly dataUrlLengthMax: number;
  /** Whether image URLs may name a machine by its address (`DYN_MM_ALLOW_INTERNAL`). */
  readonly allowInternalUrls: boolean;
}

/**
 * Refuses a prompt that leaves no room for an answer. Engines would fail later, with another sentence each.
 *
 * @param promptTokens  tokens of the prompt, images unexpanded
 * @param contextLength tokens that the model takes; 0 = its card does not say
 * @throws AppError `context_length_exceeded` in the words of Dynamo 1.4.2
 */
export function checkContextLength(promptTokens: number, contextLength: number): void {
  if (contextLength === 0 || promptTokens < contextLength) return;
  throw new AppError(
    "context_length_exceeded",
    `This model's maximum context length is ${contextLength} tokens. However, your messages resulted in ${promptTokens} tokens. Please reduce the length of the messages.`,
  );
}
