import { parseJsonLossless, stringifyJsonLossless } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { chatOfResponses } from "./chat-of-responses.ts";
import { parseResponsesRequest } from "./responses-request.ts";

const chatOf = (body: object) => {
  const request = parseResponsesRequest(parseJsonLossless(JSON.stringify({ model: "m", ...body })));
  return JSON.parse(stringifyJsonLossless(chatOfResponses(request).raw)) as Record<string, unknown>;
};

describe("a /v1/responses request as a chat", () => {
  it("joins instructions and leading developer turns into one system message", () => {
    const input = [
      { role: "developer", content: "B" },
      { role: "user", content: "q" },
      { role: "system", content: "C" },
    ];
    expect(chatOf({ instructions: "A", input })["messages"]).toEqual([
      { role: "system", content: "A\n\nB" },
      { role: "user", content: "q" },
      { role: "system", content: "C" },
    ]);
  });

  it("keeps thoughts among the calls of one turn where they were", () => {
    const call = (id: string) => ({ type: "function_call", call_id: id, name: "f", arguments: "{}" });
    const input = [
      { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "first" }] },
      call("a"),
      call("b"),
      { type: "reasoning", summary: [{ type: "summary_text", text: "last" }] },
      { type: "function_call_output", call_id: "a", output: [{ type: "input_text", text: "ok" }] },
    ];
    const [turn, tool] = chatOf({ input })["messages"] as Record<string, unknown>[];
    expect(turn!["reasoning_content"]).toEqual(["first", "", "last"]);
    expect((turn!["tool_calls"] as { id: string }[]).map(({ id }) => id)).toEqual(["a", "b"]);
    expect(tool).toEqual({ role: "tool", content: "ok", tool_call_id: "a" });
  });

  it("leaves out the tools that allowed_tools does not name", () => {
    const tool = (name: string) => ({ type: "function", name, parameters: { type: "object" } });
    const choice = { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "g" }] };
    const chat = chatOf({ input: "q", tools: [tool("f"), tool("g")], tool_choice: choice });
    expect(chat["tools"]).toEqual([{ type: "function", function: { name: "g", parameters: { type: "object" } } }]);
    expect(chat["tool_choice"]).toBe("required");
  });

  it.each([
    [{ input: [{ role: "user", content: [{ type: "input_file", file_id: "x" }] }] }, /content of type "input_file" is not supported/],
    [{ input: [{ role: "user", content: [{ type: "input_image", file_id: "x" }] }] }, /`image_url` must be a string/],
    [{ input: [{ role: "poet", content: "x" }] }, /a message of role "poet"/],
    [{ input: "q", tools: [{ type: "mcp" }] }, /Unsupported Responses tools type 'mcp'/],
    [{ input: "q", previous_response_id: "x" }, /`previous_response_id` is not supported/],
  ])("refuses %j with what is wrong", (body, sentence) => {
    expect(() => chatOf(body)).toThrow(sentence);
  });
});
