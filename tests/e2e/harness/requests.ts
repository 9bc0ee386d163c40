// Requests as the tests of the chain send them; no two prompts or pictures of a file share a block.
import { dataUrl, publicModel, solidPng } from "@mm-router/testkit";
import type OpenAI from "openai";

/** What simulated workers say, 11 tokens at a time. */
export const simulatedText = "This answer is simulated: no model was run. ";
export const simulatedTokens = 11;

/** 336 × 336 pixels are 144 tokens for Qwen2-VL: 12 × 12 squares of 28 pixels. */
export const pictureTokens = 144;

type Content = OpenAI.ChatCompletionUserMessageParam["content"];
type ChatRequest = OpenAI.ChatCompletionCreateParamsNonStreaming;

export function chatRequest(content: Content, maxTokens: number = simulatedTokens): ChatRequest {
  return { model: publicModel, max_tokens: maxTokens, messages: [{ role: "user", content }] };
}

/** An image and a question: all such requests have the same tokens, so only the image can tell them apart. */
export function imageRequest(url: string, maxTokens?: number): ChatRequest {
  return chatRequest(
    [
      { type: "image_url", image_url: { url } },
      { type: "text", text: "What is this?" },
    ],
    maxTokens,
  );
}

let used = 0;

/** More than 100 tokens, three full blocks and more. */
export const uniquePrompt = (): string => `Number ${String(used++).padStart(3, "0")}:${" tree".repeat(100)}`;

/** A picture of `pictureTokens`. */
export const uniquePicture = (): Buffer => solidPng(336, 336, 0x101010 + 0x010305 * used++);

export const uniquePictureUrl = (): string => dataUrl(uniquePicture());
