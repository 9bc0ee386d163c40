import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { decodeEngineOutput } from "./engine-output.ts";
import { decodeFinishReason, openAiFinishReason } from "./finish-reason.ts";
import { decodePreprocessedRequest, imageUrlsOf } from "./preprocessed-request.ts";

interface Case {
  readonly version: string;
  readonly name: string;
  readonly model_input: string;
  readonly http_request: { messages?: { content: string | { type: string; image_url?: { url: string } }[] }[] };
  /** Absent where the frontend refused the request itself. */
  readonly worker_body?: string;
}

const textCases = golden<{ cases: Case[] }>("wire/frontend-to-tokens-worker.json").cases;
const imageCases = golden<{ cases: Case[] }>("wire/frontend-to-tokens-worker-images.json").cases;
const bodies = [...textCases, ...imageCases].flatMap(({ worker_body }) => (worker_body?.includes("token_ids") ? [worker_body] : []));

describe("preprocessed requests", () => {
  it("of all real frontends decode with nothing lost", () => {
    expect(bodies.length).toBeGreaterThan(60);
    for (const body of bodies) expect(parseJson(stringifyJson(decodePreprocessedRequest(parseJson(body))))).toEqual(parseJson(body));
  });

  it("give the images of the chat in prompt order, also where the frontend blanked them in the messages", () => {
    let images = 0;
    for (const { http_request, worker_body, name } of imageCases) {
      if (worker_body === undefined) continue;
      const parts = (http_request.messages ?? []).flatMap(({ content }) => (typeof content === "string" ? [] : content));
      const expected = parts.flatMap(({ image_url }) => (image_url === undefined ? [] : [image_url.url]));
      expect([name, imageUrlsOf(decodePreprocessedRequest(parseJson(worker_body)))]).toEqual([name, expected]);
      images += expected.length;
    }
    expect(images).toBeGreaterThan(5);
  });

  it("may be a health check without model, annotations and output options", () => {
    const canary = { token_ids: [1], stop_conditions: { max_tokens: 1 }, sampling_options: { temperature: 0 }, _HEALTH_CHECK: true };
    expect(decodePreprocessedRequest(canary)).toEqual(canary);
  });

  it("may have packed token ids, as 1.6 takes them", () => {
    expect(decodePreprocessedRequest({ token_ids: new Uint8Array([1, 0, 0, 0, 0x67, 0x50, 2, 0]) }).token_ids).toEqual([1, 151655]);
  });

  it.each([
    ["no token_ids", { model: "m" }, "token_ids"],
    ["a negative token", { token_ids: [-1] }, "token_ids"],
    ["a token beyond u32", { token_ids: [4294967296] }, "token_ids"],
    ["stop conditions that are a list", { token_ids: [1], stop_conditions: [] }, "stop_conditions"],
    ["a list", [], "preprocessed request"],
  ])("are refused with %s, and the message says where", (_what, value, where) => {
    expect(() => decodePreprocessedRequest(value)).toThrow(where);
    expect(() => decodePreprocessedRequest(value)).toThrow(AppError);
  });

  it("give an AppError or a request for 2 000 mutations of real bodies", () => {
    const mutation = fc.record({ body: fc.constantFrom(...bodies), at: fc.nat(1500), cut: fc.nat(6), put: fc.string({ maxLength: 4 }) });
    fc.assert(
      fc.property(mutation, ({ body, at, cut, put }) => {
        try {
          decodePreprocessedRequest(parseJson(body.slice(0, at) + put + body.slice(at + cut)));
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("engine outputs", () => {
  it("need token_ids and nothing else", () => {
    expect(decodeEngineOutput({ token_ids: [] })).toEqual({ token_ids: [] });
    for (const bad of [null, "text", {}, { token_ids: "x" }, []]) expect(() => decodeEngineOutput(bad)).toThrow(AppError);
  });

  it("keep unknown members and 64-bit ids", () => {
    const output = { token_ids: [1], disaggregated_params: { ctx_request_id: 9223372036854775809n }, engine_data: { kv_cache_hit: {} } };
    expect(decodeEngineOutput(output)).toEqual(output);
  });
});

describe("finish reasons", () => {
  it("are the five names or an error object; everything else is a protocol error, also the bare error", () => {
    for (const name of ["eos", "length", "stop", "cancelled", "content_filter"]) expect(decodeFinishReason(name)).toBe(name);
    expect(decodeFinishReason({ error: "boom" })).toEqual({ error: "boom" });
    for (const bad of ["error", "tool_calls", 1, null, {}]) expect(() => decodeFinishReason(bad)).toThrow(AppError);
    expect(() => decodeEngineOutput({ token_ids: [], finish_reason: "error" })).toThrow(AppError);
  });

  it("become OpenAI's: whatever ends the text is stop", () => {
    expect(
      ["eos", "stop", "cancelled", "length", "content_filter"].map((reason) => openAiFinishReason(decodeFinishReason(reason))),
    ).toEqual(["stop", "stop", "stop", "length", "content_filter"]);
    expect(openAiFinishReason({ error: "x" })).toBeUndefined();
  });
});
