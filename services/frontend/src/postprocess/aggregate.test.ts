import { describe, expect, it } from "vitest";
import { ChatAggregate, CompletionAggregate } from "./aggregate.ts";
import { sumOfUsage, UsageCount } from "./usage.ts";

const identity = { id: "i", model: "m", created: 1 };

describe("folded answers", () => {
  it("have their choices in the order of their index", () => {
    const chat = new ChatAggregate();
    chat.add(2, { content: "c", finishReason: "stop" });
    chat.add(0, { content: "a" });
    chat.add(2, { content: "d" });
    const { choices } = chat.body(identity, { usage: undefined }, "reasoning_content") as {
      choices: { index: number; message: { content: string }; finish_reason: string | null }[];
    };
    expect(choices.map((choice) => [choice.index, choice.message.content, choice.finish_reason])).toEqual([
      [0, "a", null],
      [2, "cd", "stop"],
    ]);
  });

  it("of completions join text and log probabilities", () => {
    const completion = new CompletionAggregate();
    const odds = (token: string) => ({ tokens: [token], token_logprobs: [-1], top_logprobs: [{ [token]: -1 }], text_offset: [] });
    completion.add(0, { text: "a", logprobs: odds("a") });
    completion.add(0, { text: "b", logprobs: odds("b"), finishReason: "length" });
    expect(JSON.stringify(completion.body(identity, { usage: undefined }))).toBe(
      '{"id":"i","choices":[{"text":"ab","index":0,"logprobs":{"tokens":["a","b"],"token_logprobs":[-1,-1],"top_logprobs":[{"a":-1},{"b":-1}],"text_offset":[]},"finish_reason":"length"}],"created":1,"model":"m","system_fingerprint":null,"object":"text_completion","usage":null}',
    );
  });
});

describe("usage", () => {
  it("takes the worker's word for the prompt, never for the answer", () => {
    const usage = new UsageCount(33, "chat");
    usage.completionTokens += 9;
    usage.correct({ prompt_tokens: 123, completion_tokens: 7, total_tokens: 130, prompt_tokens_details: { cached_tokens: 64 } });
    expect(usage.now()).toEqual({
      prompt_tokens: 123,
      completion_tokens: 9,
      total_tokens: 132,
      prompt_tokens_details: { cached_tokens: 64 },
    });
  });

  it("of completions names the details it does not know", () => {
    const usage = new UsageCount(1, "completion");
    usage.correct({ prompt_tokens: 1, completion_tokens: 0, total_tokens: 1, prompt_tokens_details: { cached_tokens: 1 } });
    expect(usage.now().prompt_tokens_details).toEqual({ audio_tokens: null, cached_tokens: 1 });
  });

  it("of several prompts is their sum", () => {
    const part = (prompt: number, cached?: number) => ({
      prompt_tokens: prompt,
      completion_tokens: 1,
      total_tokens: prompt + 1,
      ...(cached !== undefined && { prompt_tokens_details: { cached_tokens: cached } }),
    });
    expect(sumOfUsage([part(1), part(2, 4), part(3, 5)])).toEqual({
      prompt_tokens: 6,
      completion_tokens: 3,
      total_tokens: 9,
      prompt_tokens_details: { cached_tokens: 9 },
    });
    expect(sumOfUsage([part(1), part(2)])).toEqual({ prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 });
  });
});
