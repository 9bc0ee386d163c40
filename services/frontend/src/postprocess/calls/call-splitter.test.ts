import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ToolCallFragment } from "../aggregate.ts";
import { CallSplitter, type TextSplitter } from "./call-splitter.ts";
import { ForcedCall } from "./forced-call.ts";
import { callFormat } from "./formats.ts";

/** An answer in each format: text around one call `f({"a": 1})`. */
const answers: Readonly<Record<string, readonly [text: string, content: string]>> = {
  hermes: ['Sure. <tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call> bye', "Sure.  bye"],
  qwen3_coder: ["Sure. <tool_call><function=f><parameter=a>\n1\n</parameter></function></tool_call> bye", "Sure.  bye"],
  llama3_json: ['{"name": "f", "parameters": {"a": 1}}', ""],
  mistral: ['Sure. [TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}] bye', "Sure.  bye"],
  pythonic: ["Sure. [f(a=1)] bye", "Sure.  bye"],
  phi4: ['Sure, fun. functools[{"name": "f", "arguments": {"a": 1}}] bye', "Sure, fun.  bye"],
  nemotron_deci: ['Sure. <TOOLCALL>[{"name": "f", "arguments": {"a": 1}}]</TOOLCALL> bye', "Sure.  bye"],
  jamba: ['Sure. <tool_calls>[{"name": "f", "arguments": {"a": 1}}]</tool_calls> bye', "Sure.  bye"],
  deepseek_v3: [
    'Sure. <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{"a": 1}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜> bye',
    "Sure.  bye",
  ],
  deepseek_v3_1: [
    'Sure. <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜><｜tool▁calls▁end｜> bye',
    "Sure.  bye",
  ],
  kimi_k2: [
    'Sure. <|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|><|tool_calls_section_end|> bye',
    "Sure.  bye",
  ],
  glm47: ["Sure. <tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value></tool_call> bye", "Sure.  bye"],
  minimax_m2: [
    'Sure. <minimax:tool_call><invoke name="f"><parameter name="a">1</parameter></invoke></minimax:tool_call> bye',
    "Sure.  bye",
  ],
};

describe("calls in a text", () => {
  it.each(Object.keys(answers))("of format %s are found wherever the stream is cut", (name) => {
    const [text, content] = answers[name]!;
    const cuts = fc.array(fc.nat(text.length), { maxLength: 40 });
    fc.assert(
      fc.property(cuts, (at) => {
        const told = played(new CallSplitter(callFormat(name)!, []), cutAt(text, at));
        expect(told.content).toBe(content);
        expect(told.calls.map((call) => [call.function?.name, JSON.parse(call.function!.arguments!)])).toEqual([["f", { a: 1 }]]);
      }),
    );
  });

  it("that are none come back as text, whole", () => {
    const anything = fc.array(fc.constantFrom("<tool_call>", "</tool_call>", '{"', "name", '"', "}", " x ", "<to", "<"), { maxLength: 30 });
    fc.assert(
      fc.property(anything, (pieces) => {
        const told = played(new CallSplitter(callFormat("hermes")!, []), pieces);
        expect(told.calls).toEqual([]);
        expect(told.content).toBe(pieces.join(""));
      }),
    );
  });

  it("of a forced choice give the arguments as they stand, wherever the stream is cut", () => {
    const text = '[{"name": "f", "parameters": {"a": "]}\\""}}, {"name": "g", "parameters": {"b": [1.0, {}]}}]';
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 40 }), (at) => {
        const { calls, content } = played(new ForcedCall(undefined, undefined), cutAt(text, at));
        const joined = [0, 1].map((index) => calls.filter((call) => call.index === index));
        expect(joined.map((parts) => parts[0]?.function?.name)).toEqual(["f", "g"]);
        expect(joined.map((parts) => parts.map((part) => part.function?.arguments).join(""))).toEqual([
          '{"a": "]}\\""}',
          '{"b": [1.0, {}]}',
        ]);
        expect(content).toBe("");
      }),
    );
  });
});

function cutAt(text: string, cuts: readonly number[]): string[] {
  const edges = [0, ...new Set(cuts), text.length].toSorted((a, b) => a - b);
  return edges.slice(1).map((end, index) => text.slice(edges[index]!, end));
}

function played(splitter: TextSplitter, texts: readonly string[]): { content: string; calls: ToolCallFragment[] } {
  const pieces = [...texts.map((text) => splitter.push(text, false)), splitter.push("", true)].flatMap((split) => split.pieces);
  return { content: pieces.map(({ text = "" }) => text).join(""), calls: pieces.flatMap(({ calls = [] }) => calls) };
}
