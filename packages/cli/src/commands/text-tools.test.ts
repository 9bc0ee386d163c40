import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { golden, goldenText } from "@mm-router/testkit/golden";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type LineCommand, runJsonLines } from "../jsonl.ts";
import * as decode from "./decode.ts";
import * as render from "./render.ts";

const template = "{{ bos_token }}{{ messages|tojson }}{% if tools %}{{ tools|tojson }}{% endif %}{{ x|default('') }}";

let model: string;

beforeAll(async () => {
  model = await mkdtemp(join(tmpdir(), "mmr-text-tools-"));
  await writeFile(join(model, "tokenizer.json"), goldenText("text/models/bytelevel.tokenizer.json"));
  await writeFile(join(model, "tokenizer_config.json"), JSON.stringify({ chat_template: template, bos_token: "<s>" }));
  await writeFile(join(model, "config.json"), "{}");
});
afterAll(() => rm(model, { recursive: true }));

async function answers(command: LineCommand, lines: readonly string[]): Promise<any[]> {
  const output = new PassThrough();
  const [printed] = await Promise.all([
    text(output),
    runJsonLines(command, { input: Readable.from([lines.join("\n")]), output }).finally(() => output.end()),
  ]);
  return printed
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** A line for this model; `members` is JSON without its braces. */
const line = (members: string) => `{"model":${JSON.stringify(model)},${members}}`;

describe("mmr render", () => {
  it("gives the prompt and its ids; numbers and members stay as they were written", async () => {
    const call = String.raw`{"id":"1","type":"function","function":{"name":"f","arguments":"{\"b\": 1.50, \"a\": 1e2}"}}`;
    const [plain, called] = await answers(render.createCommand(), [
      line('"messages":[{"content":"hi","role":"user"}],"chat_template_kwargs":{"x":2.0}'),
      line(`"messages":[{"role":"user","content":"u"},{"role":"assistant","tool_calls":[${call}]}]`),
    ]);
    expect(plain.prompt).toBe('<s>[{"role": "user", "content": "hi"}]2.0');
    expect(plain.token_ids.length).toBeGreaterThan(5);
    expect(called.prompt).toContain('"arguments": {"b": 1.5, "a": 100.0}');
  });

  it("leaves NUL out of the ids alone", async () => {
    const [withNul, without] = await answers(render.createCommand(), [
      line(String.raw`"messages":[],"chat_template_kwargs":{"x":"a\u0000b"}`).replace(
        '"messages":[]',
        '"messages":[{"role":"user","content":"u"}]',
      ),
      line('"messages":[{"role":"user","content":"u"}],"chat_template_kwargs":{"x":"ab"}'),
    ]);
    expect(withNul.prompt).toContain("a\0b");
    expect(withNul.token_ids).toEqual(without.token_ids);
  });

  it("puts what the frontend refuses into the line", async () => {
    const messages = '"messages":[{"role":"user","content":"hi"}]';
    const given = [
      '"messages":[]',
      `${messages},"zzz":1`,
      `${messages},"tools":[]`,
      `${messages},"thinking":5`,
      '"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://10.0.0.1/x.png"}}]}]',
    ];
    const refused = await answers(render.createCommand(), [
      ...given.map(line),
      '{"model":"/no/such/folder","messages":[]}',
      line(messages),
    ]);
    expect(refused.map(({ error }) => error?.code)).toEqual([
      ...Array.from({ length: 4 }, () => "invalid_request"),
      "image_forbidden",
      "configuration",
      undefined,
    ]);
  });
});

describe("mmr decode", () => {
  it("gives the deltas of 1.6.1 for every recorded stream of this tokenizer", async () => {
    const { cases } = golden("text/detokenize.json").models.find(({ name }: { name: string }) => name === "mini-bytelevel");
    const lines = cases.map(({ prompt_ids, steps, skip_special_tokens }: any) =>
      JSON.stringify({
        model,
        prompt_ids,
        skip_special_tokens,
        token_ids: steps.flat(),
        steps: steps.map((step: any) => [step].flat().length),
      }),
    );
    const printed = await answers(decode.createCommand(), lines);
    const differing = printed.flatMap(({ text: whole, deltas }, index) => {
      const { id, deltas: recorded } = cases[index];
      const theirs = recorded.all ?? recorded["1.4.2,1.6.1"] ?? recorded["1.6.1"];
      const sent = deltas.filter((delta: string, at: number) => delta !== "" || at === deltas.length - 1);
      const same = JSON.stringify(sent) === JSON.stringify(theirs) && whole === theirs.join("");
      return same ? [] : [{ id, sent, theirs }];
    });
    expect(differing).toEqual([]);
    expect(printed.length).toBe(166);
  });

  it("decodes at once without steps, and errs where steps do not add up", async () => {
    const [whole, wrong, negative] = await answers(decode.createCommand(), [
      line('"token_ids":[39,68,75]'),
      line('"token_ids":[39,68,75],"steps":[1,1]'),
      line('"token_ids":[-1]'),
    ]);
    expect(whole).toEqual({ text: "Hel" });
    expect(wrong.error).toEqual({ code: "invalid_request", message: "steps take 2 tokens, token_ids has 3" });
    expect(negative.error.code).toBe("protocol_error");
  });
});
