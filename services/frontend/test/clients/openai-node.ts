// The official OpenAI client for Node.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
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

const parameters = { type: "object", properties: { location: { type: "string" }, n: { type: "number" } } };
const weather = { type: "function" as const, function: { name: "get_weather", description: "Weather of a place", parameters } };
const Place = z.object({ location: z.string() });

const clientOf = ({ url }: Bench): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const ask = (script: string, model = "test/tok") => ({ model, messages: [{ role: "user" as const, content: `Please script:${script}` }] });
const respond = (script: string, model = "test/tok") => ({ model, input: `Please script:${script}` });

type Call = OpenAI.ChatCompletionMessageToolCall;
const callsOf = (calls: readonly Call[] = []) =>
  calls.map((call) => (call.type === "function" ? [call.function.name, JSON.parse(call.function.arguments) as unknown] : []));

const chat: Features = {
  async models(bench) {
    const ids: string[] = [];
    for await (const { id } of clientOf(bench).models.list()) ids.push(id);
    return { ids: ids.toSorted(), one: (await clientOf(bench).models.retrieve("test/tok")).id }; // a name with a slash
  },
  async chat(bench) {
    const { choices, usage } = await clientOf(bench).chat.completions.create(ask("cu"));
    return { message: choices[0]!.message, finish: choices[0]!.finish_reason, usage };
  },
  async stream(bench) {
    const request = { ...ask("unicode"), stream: true as const, stream_options: { include_usage: true } };
    let text = "";
    let usage: unknown;
    for await (const chunk of await clientOf(bench).chat.completions.create(request)) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    return { text, usage };
  },
  "stream helper": async (bench) =>
    (await clientOf(bench).chat.completions.stream(ask("default")).finalChatCompletion()).choices[0]!.message.content,
  async "several choices"(bench) {
    const { choices } = await clientOf(bench).chat.completions.create({ ...ask("n2"), n: 2, temperature: 0.7 });
    return choices.map(({ index, message, finish_reason: finish }) => [index, message.content, finish]);
  },
  async "log probabilities"(bench) {
    const { choices } = await clientOf(bench).chat.completions.create({ ...ask("lp"), logprobs: true, top_logprobs: 2 });
    return choices[0]!.logprobs!.content!.map(({ token, top_logprobs: others }) => [token, others.length]);
  },
  async tools(bench) {
    const { choices } = await clientOf(bench).chat.completions.create({ ...ask("hermes1", "test/hermes"), tools: [weather] });
    return { calls: callsOf(choices[0]!.message.tool_calls), finish: choices[0]!.finish_reason };
  },
  async "tools by the stream helper"(bench) {
    const stream = clientOf(bench).chat.completions.stream({ ...ask("hermes1", "test/hermes"), tools: [weather] });
    return callsOf((await stream.finalMessage()).tool_calls);
  },
  "tools run by the client": (bench) => {
    const run = { ...weather.function, parse: JSON.parse, function: () => sunny };
    const tools = [{ type: "function" as const, function: run }];
    return clientOf(bench)
      .chat.completions.runTools({ ...ask("hermes1", "test/hermes"), tools })
      .finalContent();
  },
  async "a tool that must be called, streamed"(bench) {
    const request = { ...ask("reqarr"), tools: [weather], tool_choice: "required" as const };
    return callsOf((await clientOf(bench).chat.completions.stream(request).finalMessage()).tool_calls);
  },
  async parse(bench) {
    const request = { ...ask("named"), response_format: zodResponseFormat(Place, "place") };
    return (await clientOf(bench).chat.completions.parse(request)).choices[0]!.message.parsed;
  },
  async reasoning(bench) {
    const { choices } = await clientOf(bench).chat.completions.create(ask("think", "test/think"));
    return choices[0]!.message;
  },
  async picture(bench) {
    const content = [
      { type: "text" as const, text: "See script:default" },
      { type: "image_url" as const, image_url: { url: pictureUrl } },
    ];
    const { choices } = await clientOf(bench).chat.completions.create({ model: "test/vl", messages: [{ role: "user", content }] });
    return { text: choices[0]!.message.content, sent: pictureSent(bench) };
  },
  async "a Text worker's calls"(bench) {
    const { choices } = await clientOf(bench).chat.completions.create(ask("ttool", "test/text"));
    return callsOf(choices[0]!.message.tool_calls);
  },
};

const others: Features = {
  async completions(bench) {
    const { choices } = await clientOf(bench).completions.create({ model: "test/tok", prompt: "Please script:default" });
    return [choices[0]!.text, choices[0]!.finish_reason];
  },
  async "completions of several prompts, streamed"(bench) {
    const request = { model: "test/tok", prompt: ["a script:default", "b script:length"], stream: true as const };
    const texts = ["", ""];
    for await (const { choices } of await clientOf(bench).completions.create(request))
      for (const { index, text } of choices) texts[index] += text;
    return texts;
  },
  async response(bench) {
    const { output_text: text, status, usage } = await clientOf(bench).responses.create(respond("default"));
    return { text, status, tokens: [usage?.input_tokens, usage?.output_tokens] };
  },
  async "response, streamed"(bench) {
    let text = "";
    let last = "";
    for await (const event of await clientOf(bench).responses.create({ ...respond("default"), stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event.type;
    }
    return { text, last };
  },
  async "response, parsed"(bench) {
    const request = { ...respond("named"), text: { format: zodTextFormat(Place, "place") } };
    return (await clientOf(bench).responses.parse(request)).output_parsed;
  },
  async "response with a tool"(bench) {
    const tools = [{ ...weather.function, type: "function" as const, strict: false }];
    const { output } = await clientOf(bench).responses.create({ ...respond("hermes1", "test/hermes"), tools });
    return output.flatMap((item) => (item.type === "function_call" ? [[item.name, JSON.parse(item.arguments) as unknown]] : []));
  },
  "the sentence of a 404": (bench) => sentenceOf(clientOf(bench).chat.completions.create(ask("default", "nobody"))),
  "the sentence of a 400": (bench) => sentenceOf(clientOf(bench).chat.completions.create({ ...ask("default"), temperature: 3 })),
  "the sentence of a worker's 400": (bench) => sentenceOf(clientOf(bench).chat.completions.create(ask("valueerr"))),
  "the sentence of a 500": (bench) => sentenceOf(clientOf(bench).chat.completions.create(ask("runtimeerr"))),
  async "an error inside a stream"(bench) {
    let text = "";
    const reading = async () => {
      const stream = await clientOf(bench).chat.completions.create({ ...ask("midraise"), stream: true });
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    };
    const sentence = await sentenceOf(reading());
    return { text, sentence };
  },
  async "the request's id"(bench) {
    const { data, request_id: id } = await clientOf(bench).chat.completions.create(ask("default")).withResponse();
    const refused = clientOf(bench).chat.completions.create(ask("default", "nobody"));
    const error = await refused.then(
      () => undefined,
      (cause: InstanceType<typeof OpenAI.APIError>) => cause.requestID,
    );
    return { ofAnswer: data.id === `chatcmpl-${id}`, ofError: typeof error };
  },
  async "leaving a stream"(bench) {
    for await (const _ of await clientOf(bench).chat.completions.create({ ...ask("slow"), stream: true })) break;
    return untilCancelled(bench.worker);
  },
};

const expected = {
  models: { ids: ["test/hermes", "test/text", "test/think", "test/tok", "test/vl"], one: "test/tok" },
  chat: {
    message: { content: hello, refusal: null, role: "assistant" },
    finish: "stop",
    usage: { prompt_tokens: 123, completion_tokens: 9, total_tokens: 132, prompt_tokens_details: { cached_tokens: 64 } },
  },
  stream: { text: "你好🌍👩‍👩‍👧 naïve é 𝕏𓂀ﷺ", usage: { prompt_tokens: 33, completion_tokens: 18, total_tokens: 51 } },
  "stream helper": hello,
  "several choices": [
    [0, "first", "length"],
    [1, "second", "stop"],
  ],
  "log probabilities": [
    ["Hi", 2],
    [" there", 2],
    [" \ufffd", 2],
    ["\ufffd", 2],
  ],
  tools: { calls: [["get_weather", paris]], finish: "tool_calls" },
  "tools by the stream helper": [["get_weather", paris]],
  "tools run by the client": hello,
  "a tool that must be called, streamed": [["get_weather", { location: "Paris" }]],
  parse: { location: "Paris" },
  reasoning: { content: "\n\nAnswer: 42", reasoning_content: "\nLet me think about Paris.\n", refusal: null, role: "assistant" },
  picture: { text: hello, sent: pictureSeen },
  "a Text worker's calls": [["get_weather", { a: 1 }]],
  completions: [hello, "stop"],
  "completions of several prompts, streamed": [hello, hello],
  response: { text: hello, status: "completed", tokens: [33, 9] },
  "response, streamed": { text: hello, last: "response.completed" },
  "response, parsed": { location: "Paris" },
  "response with a tool": [["get_weather", paris]],
  "the sentence of a 404": "404 Model not found",
  "the sentence of a 400": "400 Validation: Temperature must be between 0 and 2, got 3",
  "the sentence of a worker's 400": "400 ValueError: bad value here",
  "the sentence of a 500": "500 Internal server error",
  "an error inside a stream": { text: "Some text", sentence: "Internal server error" },
  "the request's id": { ofAnswer: true, ofError: "string" },
  "leaving a stream": true,
};

export const openaiNode: Client = {
  name: "openai-node",
  expected,
  lostOnTheRealOne: ["a Text worker's calls", "the request's id"],
  features: { ...chat, ...others },
};
