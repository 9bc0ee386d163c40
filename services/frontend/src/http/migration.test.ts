import { AppError, encodeItem, parseJson } from "@mm-router/protocol";
import type { Call } from "@mm-router/runtime";
import { goldenText } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HttpBench } from "../../test/support/http-bench.ts";
import { loadTextModel } from "../text/index.ts";

const text = loadTextModel({
  tokenizerJson: Buffer.from(goldenText("text/models/bytelevel.tokenizer.json")),
  tokenizerConfig: Buffer.from('{"chat_template":"{{ messages[0].content }}"}'),
});
const prompt = [...text.encode("hi")];
/** Characters of several tokens, and a stop string that begins and does not end. */
const answer = [...text.encode("Über ✨ STO and on ✨ END of it")];
const limit = 3;

interface Sent {
  readonly token_ids: number[];
  readonly stop_conditions: { readonly max_tokens: number | null; readonly min_tokens: number | null };
}
interface Break {
  /** Tokens that one worker gives before it dies. */
  readonly after: number;
}

describe("a stream whose worker dies", () => {
  let bench: HttpBench;
  beforeEach(async () => {
    bench = new HttpBench({ migration: { limit, sequenceMax: undefined } });
    bench.serve("m", { text });
    await bench.listen();
  });
  afterEach(() => bench.close());

  /** Workers that give the answer on from where the prompt leaves it, and die as told; the last one lives. */
  function dying(breaks: readonly Break[], itemTokens = 1) {
    const left = [...breaks];
    return async function* ({ body }: Call) {
      const { token_ids: ids, stop_conditions: stops } = parseJson(Buffer.from(body)) as unknown as Sent;
      const from = ids.length - prompt.length;
      expect(ids).toEqual([...prompt, ...answer.slice(0, from)]);
      const end = Math.min(answer.length, from + (stops.max_tokens ?? Infinity));
      const death = left.shift();
      for (let at = from; at < end; ) {
        if (death !== undefined && at - from >= death.after) throw new AppError("worker_lost", "the worker's connection ended");
        const to = Math.min(end, at + itemTokens, from + (death?.after ?? Infinity));
        const finish = to === end ? (end === answer.length ? "stop" : "length") : undefined;
        yield [encodeItem("json", { data: { token_ids: answer.slice(at, to), index: 0, ...(finish && { finish_reason: finish }) } })];
        at = to;
      }
    };
  }

  const body = (more: object = {}) => ({ model: "m", messages: [{ role: "user", content: "hi" }], ...more });

  async function asked(more: object = {}) {
    const { choices, usage, error } = (await (await bench.chat(body(more))).json()) as {
      choices?: { message: { content: string }; finish_reason: string }[];
      usage?: object;
      error?: { code: number };
    };
    return { content: choices?.[0]?.message.content, finish: choices?.[0]?.finish_reason, usage, status: error?.code };
  }

  it("is told to its end as if nothing had happened, wherever it breaks and however often", async () => {
    const requests = [{}, { stop: ["STOP", "END"] }, { max_tokens: answer.length - 4 }, { min_tokens: 5, stop: ["END"] }];
    const undisturbed = new Map<object, unknown>();
    for (const request of requests) {
      bench.script = dying([]);
      undisturbed.set(request, await asked(request));
    }
    const breaks = fc.array(fc.record({ after: fc.nat(answer.length) }), { minLength: 1, maxLength: limit });
    await fc.assert(
      fc.asyncProperty(breaks, fc.constantFrom(...requests), fc.integer({ min: 1, max: 4 }), async (points, request, itemTokens) => {
        bench.script = dying(points, itemTokens);
        expect(await asked(request)).toEqual(undisturbed.get(request));
      }),
      { numRuns: 150 },
    );
  });

  it("sends every token once in a stream of events", async () => {
    bench.script = dying([{ after: 4 }, { after: 3 }]);
    const events = await (await bench.chat(body({ stream: true, stream_options: { include_usage: true } }))).text();
    const chunks = [...events.matchAll(/^data: (\{.*)$/gm)].map(
      ([, json]) => parseJson(json!) as { choices: { delta: { content?: string } }[] },
    );
    expect(chunks.map(({ choices: [choice] }) => choice?.delta.content ?? "").join("")).toBe("Über ✨ STO and on ✨ END of it");
    expect(chunks.at(-1)).toMatchObject({ usage: { prompt_tokens: prompt.length, completion_tokens: answer.length } });
    expect(new Set(bench.calls.map(({ contextId }) => contextId)).size).toBe(1);
    expect(await bench.metrics.text()).toContain('model_migration_total{model="m",migration_type="ongoing_request"} 2');
  });

  it("fails when it has been moved as often as is allowed", async () => {
    bench.script = dying(Array.from({ length: limit + 1 }, () => ({ after: 1 })));
    expect(await asked()).toMatchObject({ content: undefined, status: 503 });
    expect(bench.calls.length).toBe(limit + 1);
  });

  it.each([
    ["with several choices", { n: 2, temperature: 1 }],
    ["that is held to a form", { response_format: { type: "json_object" } }],
    ["that one instance must serve", { nvext: { backend_instance_id: 1 } }],
  ])("is not moved when it is one %s", async (_title, more) => {
    bench.script = dying([{ after: 2 }]);
    expect(await asked(more)).toMatchObject({ status: 503 });
    expect(bench.calls.length).toBe(1);
  });

  it("is not moved for what the worker says itself", async () => {
    bench.script = async function* () {
      yield [encodeItem("json", { data: { token_ids: answer.slice(0, 1) } })];
      throw new AppError("worker_error", "the engine failed");
    };
    expect(await asked()).toMatchObject({ status: 500 });
    expect(bench.calls.length).toBe(1);
  });
});
