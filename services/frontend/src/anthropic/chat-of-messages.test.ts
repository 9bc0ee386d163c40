import { parseJsonLossless, stringifyJsonLossless } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { chatOfMessages } from "./chat-of-messages.ts";
import { parseMessagesRequest } from "./messages-request.ts";

const chatOf = (body: object, reasons = false) => {
  const request = parseMessagesRequest(parseJsonLossless(JSON.stringify({ model: "m", max_tokens: 5, ...body })));
  return JSON.parse(stringifyJsonLossless(chatOfMessages(request, reasons).raw)) as Record<string, unknown>;
};
const user = (...content: object[]) => ({ messages: [{ role: "user", content }] });

describe("a /v1/messages request as a chat", () => {
  it("makes data URLs of base64 images and keeps other URLs", () => {
    const image = (source: object) => ({ type: "image", source });
    const body = user(image({ type: "base64", media_type: "image/png", data: "AA==" }), image({ type: "url", url: "http://x.org/a.png" }));
    const [message] = chatOf(body)["messages"] as { content: { image_url: { url: string } }[] }[];
    expect(message!.content.map((part) => part.image_url.url)).toEqual(["data:image/png;base64,AA==", "http://x.org/a.png"]);
  });

  it("puts tool results where they stood among the user's own words", () => {
    const result = { type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: "sunny" }] };
    const messages = chatOf(user({ type: "text", text: "a" }, result, { type: "text", text: "b" }))["messages"];
    expect(messages).toEqual([
      { role: "user", content: "a" },
      { role: "tool", content: "sunny", tool_call_id: "t" },
      { role: "user", content: "b" },
    ]);
  });

  it("asks a reasoning model to think, unless the client does not want it to", () => {
    const body = user({ type: "text", text: "a" });
    expect(chatOf(body, true)["chat_template_args"]).toEqual({ enable_thinking: true, truncate_history_thinking: false });
    const silent = chatOf({ ...body, thinking: { type: "disabled" } }, true);
    expect([silent["chat_template_args"], silent["thinking"]]).toEqual([undefined, { type: "disabled" }]);
  });

  it("keeps the client's nvext beside the stop reason that the answer needs", () => {
    const body = { ...user({ type: "text", text: "a" }), nvext: { extra_fields: ["timing"], cache_salt: "s" } };
    expect(chatOf(body)["nvext"]).toEqual({ extra_fields: ["timing", "stop_reason"], cache_salt: "s" });
  });

  it.each([
    [user({ type: "document" }), /content block type "document" is not supported/],
    [user({ type: "image", source: { type: "file" } }), /source: type must be base64 or url/],
    [{ messages: [{ role: "user", content: [] }] }, /must contain at least one content block/],
    [{ ...user({ type: "text", text: "a" }), tools: [{ name: "f" }] }, /input_schema: field required/],
    [{ ...user({ type: "text", text: "a" }), tools: [{ name: "f", type: "bash_20250124" }] }, /server tool type "bash_20250124"/],
  ])("refuses %j with what is wrong", (body, sentence) => {
    expect(() => chatOf(body)).toThrow(sentence);
  });
});
