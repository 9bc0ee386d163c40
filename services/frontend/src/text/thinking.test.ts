// All combinations that were asked of a running 1.6.1 are in golden text/template-live.json; here, the rule.
import type { LosslessJson } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { type ThinkingMembers, thinkingArguments } from "./thinking.ts";

const on = { enable_thinking: true, thinking: true, thinking_mode: "enabled" };
const off = { enable_thinking: false, thinking: false, thinking_mode: "disabled" };

type Given = Omit<ThinkingMembers, "chatTemplateArgs"> & { readonly kwargs?: Record<string, LosslessJson> };

describe("thinking", () => {
  it.each<[string, Given, object]>([
    ["not said", {}, {}],
    ["by thinking", { thinking: "enabled" }, on],
    ["by thinking, over kwargs", { thinking: "disabled", kwargs: { enable_thinking: true } }, off],
    ["left to the model", { thinking: "adaptive", kwargs: { thinking: true } }, { thinking_mode: "adaptive" }],
    ["by a kwarg", { kwargs: { enable_thinking: false } }, off],
    ["by kwargs that differ", { kwargs: { enable_thinking: false, thinking: true } }, on],
    ["by the mode", { kwargs: { thinking_mode: "enabled" } }, on],
    ["by a mode that is the model's own", { kwargs: { thinking_mode: "chat" } }, { thinking_mode: "chat" }],
    ["by the effort", { reasoningEffort: "low" }, { ...on, reasoning_effort: "low" }],
    ["by no effort", { reasoningEffort: "none" }, { ...off, reasoning_effort: "none" }],
    ["by a kwarg, over the effort", { reasoningEffort: "high", kwargs: { thinking: false } }, { ...off, reasoning_effort: "high" }],
    [
      "by the effort over that of kwargs",
      { reasoningEffort: "none", kwargs: { reasoning_effort: "high" } },
      { ...off, reasoning_effort: "none" },
    ],
    ["by text", { kwargs: { enable_thinking: "yes" } }, { enable_thinking: false, thinking: false }],
    ["by null", { kwargs: { enable_thinking: null } }, { enable_thinking: null }],
  ])("%s", (_, { kwargs, ...given }, names) => {
    const found = thinkingArguments({ ...given, chatTemplateArgs: new Map(Object.entries(kwargs ?? {})) });
    expect(Object.fromEntries(found)).toEqual(names);
  });
});
