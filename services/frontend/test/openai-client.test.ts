// The official OpenAI client for Node against ours: what it needs to find in answers, streams and errors.
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { goldenCards } from "./replay/golden-models.ts";
import { ScriptedWorker } from "./replay/scripted-worker.ts";
import { Stack } from "./replay/stack.ts";

const ask = (script: string, model = "test/tok") => ({ model, messages: [{ role: "user" as const, content: `Please script:${script}` }] });
const hello = "Hello, world! How are you today?";

describe("openai-node", () => {
  let stack: Stack;
  let client: OpenAI;
  const worker = new ScriptedWorker();

  beforeAll(async () => {
    stack = await Stack.start();
    const { url } = await stack.frontend();
    const runtime = await stack.runtime();
    const cards = await goldenCards();
    for (const component of ["tok", "vl", "text", "chatonly"])
      await worker.serve(runtime, stack.namespace, component, cards.get(component)!);
    client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
    await vi.waitFor(async () => expect((await client.models.list()).data.length).toBe(4), { timeout: 30_000, interval: 50 });
  });
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
  });

  it("lists models and finds one whose name has a slash", async () => {
    const ids: string[] = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toEqual(["test/chatonly", "test/text", "test/tok", "test/vl"]);
    expect(await client.models.retrieve("test/tok")).toMatchObject({ id: "test/tok", object: "model" });
  });

  it("gets a chat answer with usage and the request's id", async () => {
    const { data, request_id: id } = await client.chat.completions.create(ask("cu")).withResponse();
    expect(data.choices[0]).toMatchObject({ message: { content: hello, role: "assistant", refusal: null }, finish_reason: "stop" });
    expect(data.usage).toEqual({
      prompt_tokens: 123,
      completion_tokens: 9,
      total_tokens: 132,
      prompt_tokens_details: { cached_tokens: 64 },
    });
    expect(data.id).toBe(`chatcmpl-${id}`);
  });

  it("streams a chat, usage last", async () => {
    const stream = await client.chat.completions.create({ ...ask("unicode"), stream: true, stream_options: { include_usage: true } });
    let text = "";
    let usage: unknown;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe("你好🌍👩‍👩‍👧 naïve é 𝕏𓂀ﷺ");
    expect(usage).toEqual({ prompt_tokens: 33, completion_tokens: 18, total_tokens: 51 });
  });

  it("gathers a stream with its own helper", async () => {
    const final = await client.chat.completions.stream(ask("default")).finalChatCompletion();
    expect(final.choices[0]!.message.content).toBe(hello);
  });

  it("sees several choices apart, and log probabilities", async () => {
    const two = await client.chat.completions.create({ ...ask("n2"), n: 2, temperature: 0.7 });
    expect(two.choices.map((choice) => [choice.index, choice.message.content, choice.finish_reason])).toEqual([
      [0, "first", "length"],
      [1, "second", "stop"],
    ]);
    const odds = await client.chat.completions.create({ ...ask("lp"), logprobs: true, top_logprobs: 2 });
    expect(odds.choices[0]!.logprobs!.content!.map((entry) => [entry.token, entry.top_logprobs.length])).toEqual([
      ["Hi", 2],
      [" there", 2],
      [" \ufffd", 2],
      ["\ufffd", 2],
    ]);
  });

  it("sends a picture", async () => {
    const content = [
      { type: "text" as const, text: "See script:default" },
      { type: "image_url" as const, image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } },
    ];
    await client.chat.completions.create({ model: "test/vl", messages: [{ role: "user", content }] });
    expect(worker.received.at(-1)!.request["multi_modal_data"]).toEqual({ image_url: [{ Url: "data:image/png;base64,iVBORw0KGgo=" }] });
  });

  it("gets completions, one prompt or several, streamed or not", async () => {
    const one = await client.completions.create({ model: "test/tok", prompt: "Please script:default" });
    expect(one.choices[0]).toMatchObject({ text: hello, finish_reason: "stop" });
    const stream = await client.completions.create({ model: "test/tok", prompt: ["a script:default", "b script:length"], stream: true });
    const texts = ["", ""];
    for await (const { choices } of stream) for (const { index, text } of choices) texts[index] += text;
    expect(texts).toEqual([hello, hello]);
  });

  it("reads the answers of a Text worker", async () => {
    const answer = await client.chat.completions.create(ask("ttool", "test/text"));
    expect(answer.choices[0]!.message.tool_calls).toEqual([
      { id: "call_1", type: "function", function: { name: "get_weather", arguments: '{"a":1}' } },
    ]);
  });

  it.each([
    [404, "Model not found", ask("x", "nope")],
    [400, "Validation: Temperature must be between 0 and 2, got 3", { ...ask("x"), temperature: 3 }],
    [400, "ValueError: bad value here", ask("valueerr")],
    [500, "Internal server error", ask("runtimeerr")],
  ])("reads the sentence of a %d", async (status, message, request) => {
    await expect(client.chat.completions.create(request)).rejects.toMatchObject({
      status,
      message: expect.stringContaining(message),
      requestID: expect.any(String),
    });
  });

  it("reads the sentence of an error inside a stream", async () => {
    const stream = await client.chat.completions.create({ ...ask("midraise"), stream: true });
    let text = "";
    const reading = (async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    })();
    await expect(reading).rejects.toThrow("Internal server error");
    expect(text).toBe("Some text");
  });

  it("tells the worker when it leaves a stream", async () => {
    const stream = await client.chat.completions.create({ ...ask("slow"), stream: true });
    for await (const _ of stream) break;
    await vi.waitFor(() => expect(worker.received.at(-1)!.cancelled).toBe(true), { timeout: 2_000, interval: 5 });
  });
});
