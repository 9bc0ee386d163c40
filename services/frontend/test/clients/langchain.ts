// LangChain JS: ChatOpenAI over chat completions and over responses.
import { type AIMessageChunk, HumanMessage, ToolMessage, type UsageMetadata } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import {
  type Bench,
  type Client,
  type Features,
  hello,
  paris,
  pictureSeen,
  pictureSent,
  pictureUrl,
  sentenceOf,
  sunny,
  untilCancelled,
} from "./client-bench.ts";

const weather = tool(() => Promise.resolve(sunny), {
  name: "get_weather",
  description: "Weather of a place",
  schema: z.object({ location: z.string(), n: z.number().optional() }),
});

function featuresOver(useResponsesApi: boolean): Features {
  const model = ({ url }: Bench, name = "test/tok", more: { temperature?: number } = {}) =>
    new ChatOpenAI({ model: name, apiKey: "none", maxRetries: 0, useResponsesApi, configuration: { baseURL: `${url}/v1` }, ...more });
  const ask = (script: string) => `Please script:${script}`;
  const gathered = async (pieces: AsyncIterable<AIMessageChunk>) => {
    let whole: AIMessageChunk | undefined;
    for await (const piece of pieces) whole = whole === undefined ? piece : whole.concat(piece);
    return whole!;
  };
  const seenOf = ({ text, usage_metadata: usage }: { readonly text: string; readonly usage_metadata?: UsageMetadata | undefined }) => ({
    text,
    tokens: [usage?.input_tokens, usage?.output_tokens],
  });
  const callsOf = ({ tool_calls: calls = [] }: Pick<AIMessageChunk, "tool_calls">) => calls.map(({ name, args }) => [name, args]);
  return {
    async invoke(bench) {
      return seenOf(await model(bench).invoke(ask("default")));
    },
    async stream(bench) {
      return seenOf(await gathered(await model(bench).stream(ask("default"))));
    },
    async "tools in two steps"(bench) {
      const chat = model(bench, "test/hermes").bindTools([weather]);
      const question = new HumanMessage(ask("hermes1"));
      const call = await chat.invoke([question]);
      const result = new ToolMessage({ content: sunny, tool_call_id: call.tool_calls![0]!.id! });
      return { calls: callsOf(call), text: (await chat.invoke([question, call, result])).text };
    },
    async "tools, streamed"(bench) {
      return callsOf(await gathered(await model(bench, "test/hermes").bindTools([weather]).stream(ask("hermes1"))));
    },
    async "a tool that must be called"(bench) {
      return callsOf(await model(bench).bindTools([weather], { tool_choice: "required" }).invoke(ask("reqarr")));
    },
    "structured output": (bench) =>
      model(bench)
        .withStructuredOutput(z.object({ location: z.string() }), { method: "jsonSchema" })
        .invoke(ask("named")),
    async picture(bench) {
      const content = [
        { type: "text" as const, text: "See script:default" },
        { type: "image_url" as const, image_url: { url: pictureUrl } },
      ];
      const { text } = await model(bench, "test/vl").invoke([new HumanMessage({ content })]);
      return { text, sent: pictureSent(bench) };
    },
    "the sentence of a 404": async (bench) => (await sentenceOf(model(bench, "nobody").invoke(ask("default")))).split("\n")[0],
    "the sentence of a 400": async (bench) =>
      (await sentenceOf(model(bench, "test/tok", { temperature: 3 }).invoke(ask("default")))).split("\n")[0],
    "an error inside a stream": async (bench) => sentenceOf(gathered(await model(bench).stream(ask("midraise")))),
    async "leaving a stream"(bench) {
      const leaving = new AbortController();
      const stream = await model(bench).stream(ask("slow"), { signal: leaving.signal });
      await sentenceOf(
        (async () => {
          for await (const { text } of stream) if (text !== "") leaving.abort();
        })(),
      );
      return untilCancelled(bench.worker);
    },
  };
}

const expected = {
  invoke: { text: hello, tokens: [33, 9] },
  stream: { text: hello, tokens: [33, 9] },
  "tools in two steps": { calls: [["get_weather", paris]], text: hello },
  "tools, streamed": [["get_weather", paris]],
  "a tool that must be called": [["get_weather", { location: "Paris" }]],
  "structured output": { location: "Paris" },
  picture: { text: hello, sent: pictureSeen },
  "the sentence of a 404": "404 Model not found",
  "the sentence of a 400": "400 Validation: Temperature must be between 0 and 2, got 3",
  "an error inside a stream": "Internal server error",
  "leaving a stream": true,
};

/** Not told by this library over responses: that a tool must be called is not sent, and `response.failed` is passed over. */
const { "a tool that must be called": _must, "an error inside a stream": _failed, ...expectedOfResponses } = expected;

export const langchain: readonly Client[] = [false, true].map((useResponsesApi) => ({
  name: `LangChain over ${useResponsesApi ? "responses" : "chat"}`,
  expected: useResponsesApi ? expectedOfResponses : expected,
  lostOnTheRealOne: [],
  features: featuresOver(useResponsesApi),
}));
