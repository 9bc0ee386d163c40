// Vercel's AI SDK with each of its providers that speak to such a server: OpenAI-compatible, OpenAI's chat, OpenAI's responses.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, isStepCount, type LanguageModel, Output, streamText, tool } from "ai";
import { z } from "zod";
import {
  type Bench,
  type Client,
  type Features,
  hello,
  paris,
  picture,
  pictureSeen,
  pictureSent,
  sentenceOf,
  sunny,
  untilCancelled,
} from "./client-bench.ts";

type ModelOf = (url: string, name: string) => LanguageModel;

const providers: Readonly<Record<string, ModelOf>> = {
  "AI SDK, openai-compatible": (url, name) =>
    createOpenAICompatible({ name: "local", baseURL: `${url}/v1`, includeUsage: true, supportsStructuredOutputs: true })(name),
  "AI SDK, openai.chat": (url, name) => createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" }).chat(name),
  "AI SDK, openai responses": (url, name) => createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" }).responses(name),
};

const tools = {
  get_weather: tool({
    description: "Weather of a place",
    inputSchema: z.object({ location: z.string(), n: z.number().optional() }),
    execute: () => Promise.resolve(sunny),
  }),
};

function featuresWith(modelOf: ModelOf): Features {
  const ask = ({ url }: Bench, script: string, name = "test/tok") => ({
    model: modelOf(url, name),
    prompt: `Please script:${script}`,
    maxRetries: 0,
  });
  /** An error of a stream is told apart from its text. */
  const streamed = async (bench: Bench, script: string) => {
    let failure: unknown;
    const result = streamText({ ...ask(bench, script), onError: ({ error }) => void (failure = error) });
    let text = "";
    for await (const piece of result.textStream) text += piece;
    return { text, failure, result };
  };
  return {
    async text(bench) {
      const { text, finishReason, usage } = await generateText(ask(bench, "default"));
      return { text, finishReason, tokens: [usage.inputTokens, usage.outputTokens] };
    },
    async stream(bench) {
      const { text, result } = await streamed(bench, "default");
      const [finishReason, usage] = await Promise.all([result.finishReason, result.usage]);
      return { text, finishReason, tokens: [usage.inputTokens, usage.outputTokens] };
    },
    async "tools in two steps"(bench) {
      const { steps, text } = await generateText({ ...ask(bench, "hermes1", "test/hermes"), tools, stopWhen: isStepCount(3) });
      return { calls: steps.flatMap(({ toolCalls }) => toolCalls.map(({ toolName, input }) => [toolName, input])), text };
    },
    async "tools in two steps, streamed"(bench) {
      const result = streamText({ ...ask(bench, "hermes1", "test/hermes"), tools, stopWhen: isStepCount(3) });
      const [steps, text] = await Promise.all([result.steps, result.text]);
      return { calls: steps.flatMap(({ toolCalls }) => toolCalls.map(({ toolName, input }) => [toolName, input])), text };
    },
    async "a tool that must be called"(bench) {
      const { toolCalls } = await generateText({ ...ask(bench, "reqarr"), tools, toolChoice: "required" });
      return toolCalls.map(({ toolName, input }) => [toolName, input]);
    },
    async object(bench) {
      const schema = z.object({ location: z.string() });
      return (await generateText({ ...ask(bench, "named"), output: Output.object({ schema }) })).output;
    },
    async picture(bench) {
      const file = { type: "file" as const, mediaType: "image/png", data: picture };
      const content = [{ type: "text" as const, text: "See script:default" }, file];
      const { text } = await generateText({ model: modelOf(bench.url, "test/vl"), messages: [{ role: "user", content }], maxRetries: 0 });
      return { text, sent: pictureSent(bench) };
    },
    async reasoning(bench) {
      const { reasoningText, text } = await generateText(ask(bench, "think", "test/think"));
      return { reasoningText: reasoningText?.trim(), text: text.trim() };
    },
    "the sentence of a 404": (bench) => sentenceOf(generateText(ask(bench, "default", "nobody"))),
    "the sentence of a 400": (bench) => sentenceOf(generateText({ ...ask(bench, "default"), temperature: 3 })),
    async "an error inside a stream"(bench) {
      const { text, failure } = await streamed(bench, "midraise");
      return { text, failed: JSON.stringify(failure ?? null).includes("nternal server error") || String(failure) };
    },
    async "leaving a stream"(bench) {
      const leaving = new AbortController();
      const result = streamText({ ...ask(bench, "slow"), abortSignal: leaving.signal });
      for await (const _ of result.textStream) leaving.abort();
      return untilCancelled(bench.worker);
    },
  };
}

const expected = {
  text: { text: hello, finishReason: "stop", tokens: [33, 9] },
  stream: { text: hello, finishReason: "stop", tokens: [33, 9] },
  "tools in two steps": { calls: [["get_weather", paris]], text: hello },
  "tools in two steps, streamed": { calls: [["get_weather", paris]], text: hello },
  "a tool that must be called": [["get_weather", { location: "Paris" }]],
  object: { location: "Paris" },
  picture: { text: hello, sent: pictureSeen },
  reasoning: { reasoningText: "Let me think about Paris.", text: "Answer: 42" },
  "the sentence of a 404": "Model not found",
  "the sentence of a 400": "Validation: Temperature must be between 0 and 2, got 3",
  "an error inside a stream": { text: "Some text", failed: true },
  "leaving a stream": true,
};

/** OpenAI's own chat has no reasoning, and its responses have only summaries of it: their providers read nothing else. */
const unread = { reasoning: { reasoningText: undefined, text: "Answer: 42" } };

export const aiSdk: readonly Client[] = Object.entries(providers).map(([name, modelOf]) => ({
  name,
  expected: name.includes("compatible") ? expected : { ...expected, ...unread },
  lostOnTheRealOne: ["the sentence of a 404", "the sentence of a 400"],
  features: featuresWith(modelOf),
}));
