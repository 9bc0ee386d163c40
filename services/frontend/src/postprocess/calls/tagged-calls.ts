// Calls written in tags: one element per argument, or a name beside JSON.
//
//   qwen3_coder      <tool_call><function=f><parameter=a>1</parameter></function></tool_call>
//   minimax_m2       <minimax:tool_call><invoke name="f"><parameter name="a">1</parameter></invoke></minimax:tool_call>
//   glm47            <tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value></tool_call>
//   deepseek_v3      <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{…}\n```<｜tool▁call▁end｜>…
//   deepseek_v3_1    <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{…}<｜tool▁call▁end｜>…
//   kimi_k2          <|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>…
//
// Text between tags becomes JSON by the schema of the parameter; without one, what reads as JSON is JSON.
// Source: Dynamo 1.6.1, seen running; evidence: golden frontend tool.*. Ours reads glm's line breaks between tags (1.6.1 loses
// the arguments then).
import { randomUUID } from "node:crypto";
import { type LosslessJson, stringifyJsonLossless } from "@mm-router/protocol";
import type { ChatTool } from "../../preprocess/chat-request.ts";
import { type Block, type CallFormat, markerStart, type ParsedCall } from "./call-format.ts";
import { parsedJson } from "./json-text.ts";

interface TagOptions {
  readonly start: string;
  readonly end: string;
  /** @returns empty when there are none */
  readonly calls: (body: string, tools: readonly ChatTool[]) => ParsedCall[];
  readonly newId?: () => string;
  readonly specialMarkers?: boolean;
}

function tagged({ start, end, calls, newId, specialMarkers }: TagOptions): CallFormat {
  return {
    markers: [start],
    ...(specialMarkers !== undefined && { specialMarkers }),
    ...(newId !== undefined && { newId }),
    blockStart: (text) => markerStart(text, [start]),
    readBlock: (text, last, tools): Block => {
      const at = text.indexOf(end);
      if (at < 0 && !last) return { kind: "open" };
      const found = calls(text.slice(start.length, at < 0 ? undefined : at), tools);
      const length = at < 0 ? text.length : at + end.length;
      return found.length === 0 ? { kind: "broken", length } : { kind: "calls", calls: found, length };
    },
  };
}

export const qwenCoder = tagged({
  start: "<tool_call>",
  end: "</tool_call>",
  calls: elementCalls(/<function=([^>]+)>(.*?)(?:<\/function>|$)/gs, /<parameter=([^>]+)>(.*?)<\/parameter>/gs),
});

export const minimaxM2 = tagged({
  start: "<minimax:tool_call>",
  end: "</minimax:tool_call>",
  calls: elementCalls(/<invoke name="?([^">]+)"?>(.*?)(?:<\/invoke>|$)/gs, /<parameter name="?([^">]+)"?>(.*?)<\/parameter>/gs),
});

export const glm47 = tagged({
  start: "<tool_call>",
  end: "</tool_call>",
  calls: elementCalls(/^([^<]+)(.*)$/gs, /<arg_key>(.*?)<\/arg_key>\s*<arg_value>(.*?)<\/arg_value>/gs),
  newId: () => randomUUID(),
});

export const deepseekV3 = tagged({
  start: "<｜tool▁calls▁begin｜>",
  end: "<｜tool▁calls▁end｜>",
  calls: jsonElements(/<｜tool▁call▁begin｜>[^<]*<｜tool▁sep｜>(?<name>[^\n]+)\n```json\n(?<json>.*?)\n?```\s*(?:<｜tool▁call▁end｜>|$)/gs),
});

export const deepseekV31 = tagged({
  start: "<｜tool▁calls▁begin｜>",
  end: "<｜tool▁calls▁end｜>",
  calls: jsonElements(/<｜tool▁call▁begin｜>(?<name>.*?)<｜tool▁sep｜>(?<json>.*?)(?:<｜tool▁call▁end｜>|$)/gs),
});

export const kimiK2 = tagged({
  start: "<|tool_calls_section_begin|>",
  end: "<|tool_calls_section_end|>",
  specialMarkers: true,
  calls: jsonElements(
    /<\|tool_call_begin\|>\s*(?<id>(?:functions\.)?(?<name>[\w.-]+):\d+)\s*<\|tool_call_argument_begin\|>(?<json>.*?)(?:<\|tool_call_end\|>|$)/gs,
  ),
});

/** @param call groups: name, content @param argument groups: name, value */
function elementCalls(call: RegExp, argument: RegExp): TagOptions["calls"] {
  return (body, tools) =>
    [...body.matchAll(call)].map(([, written, content]) => {
      const name = written!.trim();
      const schema = parametersOf(name, tools);
      const values = [...content!.matchAll(argument)].map(([, key, value]): [string, LosslessJson] => {
        const parameter = key!.trim();
        return [parameter, valueOf(withoutLineBreaks(value!), typeOf(schema, parameter))];
      });
      return { name, arguments: stringifyJsonLossless(new Map(values)) };
    });
}

/** @param call groups: name, json, and perhaps id */
function jsonElements(call: RegExp): TagOptions["calls"] {
  return (body) =>
    [...body.matchAll(call)].flatMap(({ groups }): ParsedCall[] => {
      const { name, json, id } = groups as { name: string; json: string; id?: string };
      const value = parsedJson(json.trim());
      if (!(value instanceof Map)) return [];
      return [{ name: name.trim(), arguments: stringifyJsonLossless(value), ...(id !== undefined && { id }) }];
    });
}

function parametersOf(name: string, tools: readonly ChatTool[]): LosslessJson | undefined {
  const parameters = tools.find((tool) => tool.function.name === name)?.function.parameters;
  return parameters instanceof Map ? parameters.get("properties") : undefined;
}

/** Type of a parameter as its schema says it; undefined when it does not. */
function typeOf(properties: LosslessJson | undefined, name: string): string | undefined {
  const property = properties instanceof Map ? properties.get(name) : undefined;
  const type = property instanceof Map ? property.get("type") : undefined;
  return typeof type === "string" ? type : undefined;
}

function valueOf(text: string, type: string | undefined): LosslessJson {
  if (type === "string") return text;
  const lower = text.trim().toLowerCase();
  if (type === "boolean" && (lower === "true" || lower === "false")) return lower === "true";
  return parsedJson(text.trim()) ?? (lower === "null" ? null : text);
}

/** One line break on each side belongs to the layout. */
function withoutLineBreaks(value: string): string {
  return value.replace(/^\n/, "").replace(/\n$/, "");
}
