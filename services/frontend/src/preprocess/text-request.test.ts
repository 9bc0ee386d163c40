import { type JsonValue, parseJsonLossless } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { expect, it } from "vitest";
import { parseChatRequest } from "./chat-request.ts";
import { parseCompletionRequest } from "./completion-request.ts";
import { textRequestBody } from "./text-request.ts";

interface WireCase {
  readonly version: string;
  readonly name: string;
  readonly http_status: number;
  readonly http_request: Record<string, JsonValue> | null;
  readonly worker_body?: string;
}

it("a Text worker gets the bytes that 1.6.1 sends", () => {
  const cases = golden<{ cases: WireCase[] }>("wire/frontend-to-text-worker.json").cases.filter((each) => each.version === "1.6.1");
  const sent = cases.filter((each) => each.http_request !== null && each.worker_body !== undefined && each.name !== "nvext_agent_hints");
  expect(sent.length).toBeGreaterThanOrEqual(12);
  const ours = sent.map(({ name, http_request }) => [
    name,
    textRequestBody(parseChatRequest(parseJsonLossless(JSON.stringify(http_request)))).toString(),
  ]);
  expect(ours).toEqual(sent.map(({ name, worker_body }) => [name, worker_body]));
});

it("a completion reaches a Text worker with its prompt as it came", () => {
  const request = parseCompletionRequest(parseJsonLossless('{"max_tokens":4,"prompt":["a","b"],"model":"m","cache_salt":"s"}'));
  expect(textRequestBody(request).toString()).toBe('{"model":"m","prompt":["a","b"],"max_tokens":4}');
});
