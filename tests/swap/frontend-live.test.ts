// One list of requests to the real frontend 1.6.1 and to ours, over the same real workers: answers compared field by field.
//
//   real frontend 1.6.1 ─┐
//                        ├─▶ dynamo.trtllm of 1.0.2, 1.4.2 or 1.6.1 (stand-in engine: equal prompts, equal tokens)
//   our frontend ────────┘
//
// Equal text means equal prompts, token for token. Each request is sent once before, so that both find the same in the worker's
// cache. Ours names pictures by their URLs here, as the real one does; by their content they would be others to the engine. Not
// compared: the cause that 1.6.1 hides behind "Invalid request", and the length of the prompt that it guesses in a message's first event.
import {
  type Cluster,
  cluster,
  dataUrl,
  type HttpFrontend,
  internalModel as model,
  solidPng,
  startDynamoFrontend,
  startOurFrontend,
  untilListed,
  untilServed,
} from "@mm-router/testkit";
import { describeReleases } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Answer, comparableAnswer } from "../../services/frontend/test/replay/comparison.ts";
import { send } from "../../services/frontend/test/replay/http-client.ts";

const frontendRelease = "1.6.1";

const user = (content: unknown) => [{ role: "user", content }];
const tool = {
  type: "function",
  function: { name: "f", description: "d", parameters: { type: "object", properties: { a: { type: "string" } } } },
};
const responsesTool = { type: "function", name: "f", description: "d", parameters: { type: "object", properties: {} } };
const picture = { type: "image_url", image_url: { url: dataUrl(solidPng(112, 112, 0x3366cc)) } };
const weather = { role: "assistant", tool_calls: [{ id: "c1", type: "function", function: { name: "f", arguments: '{"a": "x"}' } }] };

/** What every chat of the list asks for; members of a case win. */
const short = { model, max_tokens: 6, messages: user("How are you?") };
const chats: Readonly<Record<string, object>> = {
  plain: {},
  system: { messages: [{ role: "system", content: "Be brief." }, ...user("hi")] },
  developer: { messages: [{ role: "developer", content: "Be brief." }, ...user("hi")] },
  parts: {
    messages: user([
      { type: "text", text: "one" },
      { type: "text", text: "two" },
    ]),
  },
  turns: { messages: [...user("a"), { role: "assistant", content: "b" }, ...user("c")] },
  tool_turns: { messages: [...user("q"), weather, { role: "tool", tool_call_id: "c1", content: "sunny" }, ...user("so?")], tools: [tool] },
  tools: { tools: [tool] },
  tools_none: { tools: [tool], tool_choice: "none" },
  tools_required: { tools: [tool], tool_choice: "required" },
  reasoning_turn: { messages: [...user("a"), { role: "assistant", content: "b", reasoning_content: "r" }, ...user("c")] },
  two: { n: 2, temperature: 1 },
  logprobs: { logprobs: true, top_logprobs: 2 },
  stop: { stop: ["zzz", "qqq"], max_tokens: 20 },
  ids: { stop_token_ids: [1, 2], max_tokens: 20 },
  seed: { seed: 9, temperature: 0.7, top_p: 0.9, top_k: 5, min_p: 0.1 },
  penalties: { frequency_penalty: 0.5, presence_penalty: -0.5, repetition_penalty: 1.1 },
  json: { response_format: { type: "json_object" } },
  kwargs: { chat_template_kwargs: { enable_thinking: false, x: [1, { y: null }] } },
  effort: { reasoning_effort: "low" },
  salt: { cache_salt: "s" },
  image: { messages: user([picture, { type: "text", text: "What is it?" }]) },
  unicode: { messages: user("Ünïcödé ✨ 漢字 \u0000 \t\n") },
  nvext: { nvext: { extra_fields: ["completion_token_ids", "stop_reason"], annotations: ["formatted_prompt"] } },
  token_data: { nvext: { token_data: [1, 2, 3, 4] } },
  unknown_member: { zzz: 1 },
  bad_temperature: { temperature: 3 },
  call_without_function: { messages: [...user("q"), { role: "assistant", tool_calls: [{ id: "c", type: "function" }] }, ...user("a")] },
  calls_of_a_user: { messages: [{ role: "user", content: "q", tool_calls: [{ id: "c" }] }] },
  bad_role: { messages: [{ role: "poet", content: "x" }] },
  no_messages: { messages: [] },
  unknown_model: { model: "nope" },
};

interface Case {
  readonly id: string;
  readonly path: string;
  readonly body: object;
}

const both = (id: string, path: string, body: object): Case[] => [
  { id, path, body },
  { id: `${id}.stream`, path, body: { ...body, stream: true } },
];
/** More than two blocks of the worker's cache. */
const long = "tree ".repeat(100);
const responses = { model, max_output_tokens: 6, input: "How are you?" };
const anthropic = { model, max_tokens: 6, messages: user("How are you?") };
const cases: readonly Case[] = [
  ...Object.entries(chats).flatMap(([id, body]) => both(`chat ${id}`, "/v1/chat/completions", { ...short, ...body })),
  ...both("chat usage", "/v1/chat/completions", { ...short, stream: true, stream_options: { include_usage: true } }).slice(1),
  ...both("completion text", "/v1/completions", { model, prompt: "Once upon", max_tokens: 6 }),
  ...both("completion ids", "/v1/completions", { model, prompt: [1, 2, 3], max_tokens: 6 }),
  ...both("completion logprobs", "/v1/completions", { model, prompt: "Once", max_tokens: 3, logprobs: 1 }),
  { id: "completion list", path: "/v1/completions", body: { model, prompt: ["a", "b"], max_tokens: 3 } },
  ...both("chat long", "/v1/chat/completions", { ...short, messages: user(long) }),
  ...both("responses long", "/v1/responses", { ...responses, input: long }),
  ...both("messages long", "/v1/messages", { ...anthropic, messages: user(long) }),
  ...both("responses plain", "/v1/responses", responses),
  ...both("responses instructions", "/v1/responses", { ...responses, instructions: "Be brief.", temperature: 0.5, metadata: { a: "b" } }),
  {
    id: "responses items",
    path: "/v1/responses",
    body: {
      ...responses,
      instructions: "A",
      input: [
        { role: "developer", content: "B" },
        {
          role: "user",
          content: [
            { type: "input_text", text: "one" },
            { type: "input_text", text: "two" },
          ],
        },
        { type: "reasoning", summary: [{ type: "summary_text", text: "hm" }] },
        { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
        { type: "function_call_output", call_id: "c", output: "ok" },
      ],
      tools: [responsesTool],
    },
  },
  { id: "responses refused", path: "/v1/responses", body: { ...responses, previous_response_id: "x" } },
  ...both("messages plain", "/v1/messages", anthropic),
  {
    id: "messages blocks",
    path: "/v1/messages",
    body: {
      ...anthropic,
      system: [
        { type: "text", text: "S1" },
        { type: "text", text: "S2" },
      ],
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "one" },
            { type: "text", text: "two" },
          ],
        },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "hm", signature: "" },
            { type: "text", text: "let me" },
            { type: "tool_use", id: "t", name: "f", input: { a: 1 } },
          ],
        },
        {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: "t",
              content: [
                { type: "text", text: "a" },
                { type: "text", text: "b" },
              ],
            },
            { type: "text", text: "so?" },
          ],
        },
      ],
      tools: [{ name: "f", input_schema: { type: "object" } }],
    },
  },
  { id: "messages refused", path: "/v1/messages", body: { ...anthropic, max_tokens: 0 } },
];

for (const release of ["1.0.2", "1.4.2", "1.6.1"] as const) {
  await describeReleases(`the same requests before workers of ${release}`, [...new Set([release, frontendRelease] as const)], () => {
    let system: Cluster;
    let theirs: HttpFrontend;
    let ours: HttpFrontend;
    const started = new AsyncDisposableStack();

    beforeAll(async () => {
      system = started.use(await cluster({ requestPlane: "nats", workers: { release, count: 1 } }));
      const args = ["--enable-anthropic-api"];
      theirs = started.use(await startDynamoFrontend(system.place, { release: frontendRelease, args }));
      ours = started.use(await startOurFrontend(system.place, { args: [...args, "--image-identity", "url"] }));
      await Promise.all([untilServed(theirs, model), untilListed(ours, model)]);
    });
    afterAll(() => started.disposeAsync());

    it("are answered alike by the real frontend and by ours", async () => {
      const differing: unknown[] = [];
      for (const each of cases) {
        await ask(theirs.url, each);
        const [real, own] = [await ask(theirs.url, each), await ask(ours.url, each)];
        const [expected, got] = [comparable(real, each), comparable(own, each)];
        if (hides(real) && real.status === own.status) continue;
        try {
          expect(got).toEqual(expected);
        } catch {
          differing.push({ id: each.id, ours: got, theirs: expected });
        }
      }
      expect(differing).toEqual([]);
    });
  });
}

function ask(url: string, { path, body }: Case): Promise<Answer> {
  const text = JSON.stringify(body);
  const headers = { "content-type": "application/json", "content-length": `${Buffer.byteLength(text)}` };
  return send(url, { method: "POST", path, headers, body: text });
}

/** The cause of a refusal, which 1.6.1 does not tell. */
function hides({ body = "" }: Answer): boolean {
  return body.includes('"Invalid request"');
}

function comparable(answer: Answer, { id }: Case): unknown {
  const compared = comparableAnswer(answer);
  return id.startsWith("messages") && answer.sse !== undefined ? withoutFirst(compared as { events: unknown[] }) : compared;
}

function withoutFirst({ events, ...rest }: { readonly events: readonly unknown[] }): unknown {
  return { ...rest, events: events.slice(1) };
}
