// The official OpenAI client for Python: one program runs all features (openai_python.py).
//
// Annotations in a stream are events without data on the real frontend, and the library takes any event's data for JSON.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { ensureClients } from "@mm-router/testkit/clients";
import { type Bench, type Client, type Features, hello, paris, pictureUrl, type Seen } from "./client-bench.ts";

const run = promisify(execFile);
const script = join(import.meta.dirname, "openai_python.py");

/** By frontend. */
const runs = new Map<string, Promise<Seen>>();

async function runAll(url: string): Promise<Seen> {
  const python = await ensureClients((line) => console.info(`testkit: ${line}`));
  const { stdout } = await run(python, [script, url, pictureUrl], { timeout: 120_000 });
  const lines = stdout.trim().split("\n");
  return Object.fromEntries(
    lines.map((line) => JSON.parse(line) as { feature: string; seen: unknown }).map(({ feature, seen }) => [feature, seen]),
  );
}

function seenAt({ url }: Bench): Promise<Seen> {
  const known = runs.get(url) ?? runAll(url);
  runs.set(url, known);
  return known;
}

const expected = {
  models: [["test/hermes", "test/text", "test/think", "test/tok", "test/vl"], "test/tok"],
  chat: [hello, { prompt_tokens: 123, completion_tokens: 9, total_tokens: 132, prompt_tokens_details: { cached_tokens: 64 } }],
  stream: { text: "你好🌍👩‍👩‍👧 naïve é 𝕏𓂀ﷺ", thought: "", usage: { prompt_tokens: 33, completion_tokens: 18, total_tokens: 51 } },
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
  tools: [["get_weather", paris]],
  "tools by the stream helper": [["get_weather", paris]],
  "a tool that must be called": [["get_weather", { location: "Paris" }]],
  "a tool, its arguments parsed": paris,
  parse: { location: "Paris" },
  "parse by the stream helper": { parsed: { location: "Paris" }, told: true },
  "JSON mode": { location: "Paris" },
  reasoning: ["\n\nAnswer: 42", "\nLet me think about Paris.\n"],
  "reasoning, streamed": { text: "\n\nAnswer: 42", thought: "\nLet me think about Paris.\n", usage: null },
  picture: hello,
  "a Text worker's calls": [["get_weather", { a: 1 }]],
  completions: hello,
  response: hello,
  "response by the stream helper": [hello, "completed"],
  "response, parsed": { location: "Paris" },
  "response with a tool": [["get_weather", paris]],
  "the sentence of a 404": ["NotFoundError", "Error code: 404 - Model not found"],
  "the sentence of a 400": ["BadRequestError", "Error code: 400 - Validation: Temperature must be between 0 and 2, got 3"],
  "the sentence of a worker's 400": ["BadRequestError", "Error code: 400 - ValueError: bad value here"],
  "an error inside a stream": ["Some text", ["APIError", "Internal server error"]],
  "annotations in a stream": [hello, 1],
  "the request's id": true,
};

const features: Features = Object.fromEntries(
  Object.keys(expected).map((name) => [name, async (bench: Bench) => (await seenAt(bench))[name]]),
);

export const openaiPython: Client = {
  name: "openai-python",
  expected,
  lostOnTheRealOne: ["a Text worker's calls", "annotations in a stream", "the request's id"],
  features,
};
