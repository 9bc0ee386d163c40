// Whole conversations are in golden text/template.json and text/template-live.json; here, one rule each.
import { type LosslessJson, parseJsonLossless, stringifyJsonLossless } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import type { TemplateTraits } from "../text/template/probes.ts";
import { message } from "./message-shape.ts";
import { templateMessages } from "./messages.ts";

const usual: TemplateTraits = {
  refusesLaterSystemTurns: false,
  refusesAdjacentUserTurns: false,
  needsContentParts: false,
  mediaPlaceholder: undefined,
  keepsArgumentText: false,
  needsReasoningText: false,
  readsReasoning: true,
};

/** What the template sees, as JSON text: the order of members counts. */
function seen(messages: readonly object[], traits: Partial<TemplateTraits> = {}): string {
  const typed = (parseJsonLossless(JSON.stringify(messages)) as LosslessJson[]).map((each) => message(each));
  return stringifyJsonLossless(templateMessages(typed, { ...usual, ...traits }) as LosslessJson);
}

const text = (words: string) => ({ type: "text", text: words });
const image = { type: "image_url", image_url: { url: "https://a.example/1.png" } };
const user = (content: unknown) => ({ role: "user", content });

describe("messages for a template", () => {
  it("have their members in one order, and no nulls or unknown ones", () => {
    const given = { partial: null, tool_calls: null, name: "n", zzz: 1, content: "c", refusal: "r", role: "assistant" };
    expect(seen([given])).toBe('[{"role":"assistant","content":"c","refusal":"r","name":"n"}]');
  });

  it.each<[string, object[], Partial<TemplateTraits>, string]>([
    ["texts become one", [user([text("a"), text("b")])], {}, '[{"role":"user","content":"a\\nb"}]'],
    [
      "of media only the kind is left",
      [user([text("a"), image])],
      {},
      '[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"}]}]',
    ],
    ["text becomes a part", [user("a")], { needsContentParts: true }, '[{"role":"user","content":[{"type":"text","text":"a"}]}]'],
    [
      "media become numbered marks",
      [user([image, text("a"), image]), user([image])],
      { mediaPlaceholder: "<|image_{n}|>" },
      '[{"role":"user","content":"<|image_1|>a<|image_2|>"},{"role":"user","content":"<|image_1|>"}]',
    ],
    [
      "system turns at the start become one, later ones the user's",
      [{ role: "system", content: "a" }, { role: "system", content: "b" }, user("c"), { role: "system", content: "d" }],
      { refusesLaterSystemTurns: true },
      '[{"role":"system","content":"a\\n\\nb"},{"role":"user","content":"c"},{"role":"user","content":"d"}]',
    ],
    ["user turns become one", [user("a"), user("b")], { refusesAdjacentUserTurns: true }, '[{"role":"user","content":"a\\n\\nb"}]'],
    [
      "user turns with media become one list",
      [user("a"), user([image])],
      { refusesAdjacentUserTurns: true },
      '[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"}]}]',
    ],
    [
      "thoughts stand before the answer where the template does not know them",
      [{ role: "assistant", content: "a", reasoning: "r", name: "n" }],
      { readsReasoning: false },
      '[{"role":"assistant","content":"<think>r</think>a","name":"n"}]',
    ],
    [
      "a list of thoughts becomes one text",
      [{ role: "assistant", content: "a", reasoning_content: ["r", "", "s"] }],
      { needsReasoningText: true },
      '[{"role":"assistant","content":"a","reasoning_content":"r\\ns"}]',
    ],
  ])("%s", (_, messages, traits, expected) => {
    expect(seen(messages, traits)).toBe(expected);
  });

  const calls = (written: string) => [
    { role: "assistant", tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: written } }] },
  ];

  it("have the arguments of calls as JSON, numbers as they were written", () => {
    expect(seen(calls('{"b": 1.50, "a": 12345678901234567890123}'))).toContain('"arguments":{"b":1.50,"a":12345678901234567890123}');
    expect(seen(calls('{"a": 1}'), { keepsArgumentText: true })).toContain('"arguments":"{\\"a\\": 1}"');
    expect(seen(calls("no JSON"))).toContain('"arguments":"no JSON"');
  });

  it.each([
    ["a partial message", { role: "assistant", content: "a", partial: true }],
    ["tools of a message", { role: "system", content: "a", tools: [{ name: "f" }] }],
  ])("refuse %s", (_, given) => {
    expect(() => seen([given])).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });

  it.each([
    ["partial of a user", { role: "user", content: "a", partial: true }],
    ["tools of a user", { role: "user", content: "a", tools: [] }],
    [
      "audio of a tool",
      { role: "tool", tool_call_id: "1", content: [{ type: "input_audio", input_audio: { data: "AA", format: "wav" } }] },
    ],
  ])("have no place for %s", (_, given) => {
    expect(() => seen([given])).toThrow();
  });
});
