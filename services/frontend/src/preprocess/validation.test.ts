import { AppError, type LosslessJson, parseJsonLossless, stringifyJson } from "@mm-router/protocol";
import { golden, goldenText } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { parseChatRequest } from "./chat-request.ts";
import { parseCompletionRequest } from "./completion-request.ts";
import { validateChat, validateCompletion } from "./validation.ts";

interface Told {
  readonly status: number;
  readonly message: string;
}
interface OrderFile {
  readonly faults: Record<string, Record<string, unknown>>;
  readonly releases: Record<string, Record<string, { order: (Told & { key: string })[]; accepted: string[] }>>;
}
/** `5.0` is not `5` here. */
type LosslessMap = Map<string, LosslessJson>;

const tooLongSuffix = "x".repeat(10_001);

const order = golden<OrderFile>("frontend/validation-order.json");
const requests = (parseJsonLossless(goldenText("frontend/requests.json")) as LosslessMap).get("cases") as LosslessMap[];

const valid: Record<string, Record<string, unknown>> = {
  // Beside it `guided_regex` is one constraint too many, which is the fault that the file records.
  "/v1/chat/completions": { model: "m", messages: [{ role: "user", content: "hi" }], guided_choice: ["a"] },
  "/v1/completions": { model: "m", prompt: "hi" },
};

function check(path: string, body: unknown): Told | undefined {
  const options = { ignoreUnknown: false };
  const value = parseJsonLossless(stringifyJson(body)) as LosslessJson;
  try {
    if (path === "/v1/completions") validateCompletion(parseCompletionRequest(value), options);
    else validateChat(parseChatRequest(value), options);
    return undefined;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { status: error.status, message: error.message };
  }
}

describe("validation", () => {
  it.each(Object.keys(valid))("tells the faults of %s in the order and words of 1.6.1", (path) => {
    const faults = { ...order.faults[path] };
    if ("suffix" in faults) faults["suffix"] = tooLongSuffix; // the file says "10001 x"
    const told: Told[] = [];
    for (const { key } of order.releases["1.6.1"]![path]!.order) {
      told.push(check(path, { ...valid[path], ...faults })!);
      delete faults[key];
    }
    expect(told).toEqual(order.releases["1.6.1"]![path]!.order.map(({ status, message }) => ({ status, message })));
    expect(check(path, { ...valid[path], ...faults })).toBeUndefined();
  });

  it("answers the recorded variants as 1.6.1 does", () => {
    const prefix = "Failed to deserialize the JSON body into the target type: ";
    const differing: unknown[] = [];
    let checked = 0;
    for (const group of ["val", "val2", "req", "nv", "chat", "cmpl", "tool", "tool2", "reason", "msg", "img", "tmpl"]) {
      for (const { id, response } of golden<{ cases: { id: string; response: { status: number; body?: string } }[] }>(
        `frontend/http-1.6.1-${group}.json`,
      ).cases) {
        const request = requests.find((each) => each.get("id") === id)!;
        if (
          !request.has("body") ||
          (response.status !== 200 && !/^Validation: |^Only one guided|^Maximum of|^Failed to des/.test(told(response.body)))
        )
          continue;
        const ours = check(request.get("path") as string, request.get("body"));
        const theirs = response.status === 200 ? undefined : { status: response.status, message: told(response.body) };
        checked++;
        // serde's wording after its prefix, and a parser's inside a rule, are not ours
        const cut = (each: Told | undefined) =>
          each && {
            ...each,
            message: each.message.startsWith(prefix) ? prefix : each.message.replace(/(must be a valid JSON object string).*/, "$1"),
          };
        if (stringifyJson(cut(ours)) !== stringifyJson(cut(theirs))) differing.push({ id, ours, theirs });
      }
    }
    expect(differing).toEqual([]);
    expect(checked).toBeGreaterThan(300);
  });

  it("takes null for every optional member", () => {
    const nulls = Object.fromEntries(
      Object.keys(order.faults["/v1/chat/completions"]!)
        .filter((key) => key !== "zzz")
        .map((key) => [key, null]),
    );
    expect(check("/v1/chat/completions", { ...nulls, ...valid["/v1/chat/completions"] })).toBeUndefined();
  });

  it("refuses a call without its function, which is nobody's in a message that is no assistant's", () => {
    const body = (role: string) => ({
      ...valid["/v1/chat/completions"],
      messages: [{ role, content: "hi", tool_calls: [{ id: "a", type: "function" }] }],
    });
    expect(check("/v1/chat/completions", body("assistant"))).toEqual({
      status: 400,
      message: expect.stringContaining("missing field `function`") as string,
    });
    expect(check("/v1/chat/completions", body("user"))).toBeUndefined();
  });

  it("drops unknown members when it is told to", () => {
    const request = parseChatRequest(parseJsonLossless('{"model":"m","messages":[{"role":"user","content":"hi"}],"zzz":1}'));
    expect(() => validateChat(request, { ignoreUnknown: true })).not.toThrow();
  });

  it.each([
    ["temperature", '{"temperature":0.1}', undefined],
    ["an f32 in its own digits", '{"temperature":2.1}', "Validation: Temperature must be between 0 and 2, got 2.1"],
    ["no exponent", '{"temperature":1e10}', "Validation: Temperature must be between 0 and 2, got 10000000000"],
    ["an infinite f32", '{"temperature":1e39}', "Validation: Temperature must be between 0 and 2, got Infinity"],
    ["an empty stop among others", '{"stop":["a",""]}', "Validation: Stop sequence at index 1 cannot be empty"],
    ["token ids beyond u32", '{"stop_token_ids":[4294967296]}', "Validation: `stop_token_ids` must be an array of token IDs"],
  ])("judges %s", (_what, members, message) => {
    const body = { ...valid["/v1/completions"], ...(JSON.parse(members) as object) };
    expect(check("/v1/completions", body)?.message).toBe(message);
  });
});

function told(body: string | undefined): string {
  return body === undefined || body === "" ? "" : (JSON.parse(body) as { message: string }).message;
}
