// Whether the model is to think before it answers, under every name that a chat template may ask for.
//
//   request                                             the template sees
//   thinking {"type": "disabled"}                       enable_thinking false, thinking false, thinking_mode "disabled"
//   chat_template_kwargs {"enable_thinking": true}      enable_thinking true, thinking true, thinking_mode "enabled"
//   reasoning_effort "low"                              the same, and reasoning_effort "low"
//   thinking {"type": "adaptive"}                       thinking_mode "adaptive"; the other two are unknown
//
// The request's `thinking` wins, then kwargs (`thinking`, `enable_thinking`, `thinking_mode`), then the effort.
// Source: Dynamo 1.6.1, seen running with every combination of these members.
import { JsonFloat, type LosslessJson } from "@mm-router/protocol";
import type { Value } from "./template/values.ts";

export type Thinking = "enabled" | "disabled" | "adaptive";

export interface ThinkingMembers {
  readonly chatTemplateArgs?: ReadonlyMap<string, LosslessJson>;
  readonly reasoningEffort?: string;
  readonly thinking?: Thinking;
}

/** `chat_template_kwargs` with the names of thinking filled in. */
export function thinkingArguments({ chatTemplateArgs, reasoningEffort, thinking }: ThinkingMembers): Map<string, Value> {
  const names = new Map<string, Value>(chatTemplateArgs);
  if (reasoningEffort !== undefined) names.set("reasoning_effort", reasoningEffort);
  if (thinking === "adaptive") {
    for (const name of switches) names.delete(name);
    return names.set("thinking_mode", "adaptive");
  }
  const thinks = thinking === undefined ? switchOf(names) : thinking === "enabled";
  if (thinks !== undefined) {
    for (const name of switches) names.set(name, thinks);
    names.set("thinking_mode", thinks ? "enabled" : "disabled");
  } else if (switches.some((name) => isOtherScalar(names.get(name)))) {
    for (const name of switches) names.set(name, false);
  }
  return names;
}

/** Names of a switch, the stronger first. */
const switches = ["thinking", "enable_thinking"];

function switchOf(names: ReadonlyMap<string, Value>): boolean | undefined {
  for (const name of switches) {
    const value = names.get(name);
    if (typeof value === "boolean") return value;
  }
  const mode = names.get("thinking_mode");
  if (mode === "enabled" || mode === "disabled") return mode === "enabled";
  const effort = names.get("reasoning_effort");
  return typeof effort === "string" ? effort !== "none" : undefined;
}

/** Text or a number where a boolean belongs: taken as off. */
function isOtherScalar(value: Value | undefined): boolean {
  return value !== undefined && value !== null && typeof value !== "boolean" && (typeof value !== "object" || value instanceof JsonFloat);
}
