// The call formats by the names that workers' cards give (`runtime_config.tool_call_parser`).
import { taggedJson, llamaJson, prefixedJson } from "./json-calls.ts";
import type { CallFormat } from "./call-format.ts";
import { pythonic } from "./pythonic-calls.ts";
import { deepseekV3, deepseekV31, glm47, kimiK2, minimaxM2, qwenCoder } from "./tagged-calls.ts";

const hermes = taggedJson("<tool_call>", "</tool_call>");

const formats: ReadonlyMap<string, CallFormat> = new Map(
  Object.entries({
    hermes,
    qwen25: hermes,
    qwen3: hermes,
    qwen3_coder: qwenCoder,
    nemotron_nano: qwenCoder,
    llama3_json: llamaJson,
    mistral: prefixedJson("[TOOL_CALLS]"),
    pythonic,
    phi4: prefixedJson("functools"),
    nemotron_deci: taggedJson("<TOOLCALL>", "</TOOLCALL>"),
    jamba: taggedJson("<tool_calls>", "</tool_calls>"),
    deepseek_v3: deepseekV3,
    deepseek_v3_1: deepseekV31,
    kimi_k2: kimiK2,
    kimi_k25: kimiK2,
    glm45: glm47,
    glm47,
    minimax_m2: minimaxM2,
  }),
);

/** @returns undefined for a name that we do not know: text then passes as it is */
export function callFormat(parser: string): CallFormat | undefined {
  return formats.get(parser);
}
