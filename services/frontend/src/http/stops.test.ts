// Stop strings, stop ids, minimum lengths and usage: golden text/stop.json, 1.6.1, through the HTTP side.
import { encodeItem, parseJson } from "@mm-router/protocol";
import { golden, goldenText } from "@mm-router/testkit/golden";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HttpBench } from "../../test/support/http-bench.ts";
import { loadTextModel } from "../text/index.ts";

interface Expected {
  readonly status?: number;
  readonly body?: { readonly message: string };
  readonly chunks?: readonly unknown[];
  readonly choices?: readonly object[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly stop_reason?: unknown;
  readonly sent?: object;
}
interface StopCase {
  readonly id: string;
  readonly body: object;
  readonly items: readonly object[];
  readonly expect: Readonly<Record<string, Expected>>;
}
interface Choice {
  readonly index: number;
  readonly text?: string;
  readonly delta?: { readonly content?: string };
  readonly message?: { readonly content: string | null };
  readonly finish_reason?: string | null;
}
interface Answer {
  /** Absent in an error. */
  readonly choices?: readonly Choice[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly nvext?: { readonly stop_reason?: unknown };
}

const cases = golden<{ cases: StopCase[] }>("text/stop.json").cases;
const forRelease = ({ expect: all }: StopCase) => all["1.6.1"] ?? all["1.4.2,1.6.1"] ?? all["all"];

describe("stops", () => {
  let bench: HttpBench;
  beforeAll(async () => {
    const text = loadTextModel({
      tokenizerJson: Buffer.from(goldenText("text/models/bytelevel.tokenizer.json")),
      tokenizerConfig: Buffer.from('{"chat_template":"{{ messages[0].content }}"}'),
      generationConfig: Buffer.from('{"eos_token_id":[862,846]}'),
    });
    bench = new HttpBench();
    bench.serve("s-stop", { text, modelType: "Chat | Completions" });
    await bench.listen();
  });
  afterAll(() => bench.close());

  it("are those of 1.6.1 in every recorded stream and answer", async () => {
    const differing: unknown[] = [];
    let checked = 0;
    for (const recorded of cases) {
      const theirs = forRelease(recorded);
      if (theirs === undefined) continue;
      checked++;
      const ours = await play(recorded);
      try {
        expect(comparable(ours)).toEqual(comparable(theirs));
      } catch {
        differing.push([recorded.id, JSON.stringify(ours), JSON.stringify(theirs)]);
      }
    }
    expect(differing).toEqual([]);
    expect(checked).toBe(387);
  });

  async function play({ id, body, items }: StopCase): Promise<Expected> {
    const [, api, mode] = id.split("/");
    bench.calls.length = 0;
    bench.script = async function* (call) {
      for (const item of items) if (!call.signal.aborted) yield [encodeItem("json", { data: item })];
    };
    const prompt = api === "chat" ? { messages: [{ role: "user", content: "x" }] } : { prompt: "x" };
    const request = { model: "s-stop", ...prompt, ...body, ...(mode === "stream" && { stream: true }) };
    const response = await (api === "chat" ? bench.chat(request) : bench.post("/v1/completions", request));
    const told = await response.text();
    if (response.status !== 200) return { status: response.status, body: { message: (JSON.parse(told) as { message: string }).message } };
    const answers = mode === "stream" ? eventsOf(told) : [JSON.parse(told) as Answer];
    const chunks = answers.flatMap((answer) =>
      answer.choices === undefined ? [{ error: answer }] : answer.choices.map(mode === "stream" ? chunkOf : choiceOf),
    );
    const usage = answers.findLast((answer) => answer.usage)?.usage;
    const stopReason = answers.findLast((answer) => answer.nvext?.stop_reason !== undefined)?.nvext?.stop_reason;
    return {
      ...(mode === "stream" ? { chunks } : { choices: chunks as object[] }),
      ...(usage && { usage }),
      ...(stopReason !== undefined && { stop_reason: stopReason }),
      sent: sentOf(bench.calls[0]!.body),
    };
  }
});

/** Without parser wording, and with that part of usage which all recordings have. */
function comparable({ body, usage, ...rest }: Expected): Expected {
  return {
    ...rest,
    ...(usage && { usage: { completion_tokens: usage.completion_tokens } }),
    ...(body && { body: { message: body.message.replace(/^(Failed to deserialize [^:]*: ).*/, "$1") } }),
  };
}

function eventsOf(told: string): Answer[] {
  return told
    .split("\n\n")
    .filter((event) => event.startsWith("data: {"))
    .map((event) => JSON.parse(event.slice(6)) as Answer);
}

/** `[text, finish_reason?, index?]`. */
function chunkOf({ index, text, delta, finish_reason: finish }: Choice): unknown[] {
  const chunk: unknown[] = [text ?? delta?.content ?? null];
  if (finish || index > 0) chunk.push(finish ?? null);
  if (index > 0) chunk.push(index);
  return chunk;
}

function choiceOf({ text, message, finish_reason: finish }: Choice): object {
  return { text: text ?? message?.content ?? null, finish_reason: finish };
}

/** Stop conditions as the worker got them, without nulls and max_tokens. */
function sentOf(body: Uint8Array): object {
  const { stop_conditions: stops } = parseJson(body) as { stop_conditions: Record<string, unknown> };
  return Object.fromEntries(Object.entries(stops).filter(([name, value]) => value !== null && name !== "max_tokens"));
}
