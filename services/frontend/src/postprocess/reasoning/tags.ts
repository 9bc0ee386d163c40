// How models mark their thoughts, by the names that workers' cards give (`runtime_config.reasoning_parser`).
//
// Source: Dynamo 1.6.1; evidence: golden frontend reason.*, tool.*.
import type { ThoughtTags } from "./thought-splitter.ts";

const marked: ThoughtTags = { begin: "<think>", end: "</think>", startsInside: false };
const startsInside: ThoughtTags = { ...marked, startsInside: true };

const tagsByParser: ReadonlyMap<string, ThoughtTags> = new Map(
  Object.entries({
    basic: marked,
    qwen3: marked,
    glm45: marked,
    nemotron_deci: marked,
    deepseek_r1: startsInside,
  }),
);

/**
 * @param thinks whether the request switched thinking on or off; undefined: it did not say
 * @returns undefined when nothing is to be cut: another parser's name, or a model that would begin with a thought it was told not to have
 */
export function thoughtTags(parser: string, thinks: boolean | undefined): ThoughtTags | undefined {
  const tags = tagsByParser.get(parser);
  return tags?.startsInside === true && thinks === false ? undefined : tags;
}
