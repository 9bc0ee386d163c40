// What a template makes of odd conversations, found out once when its model is loaded.
//
//   render [system, user, system]            raises?                  → later system turns are rewritten
//   render content "x" and [text "x"]        only the list shows?     → strings become lists
//   …
//
// Source: Dynamo 1.6.1 (preprocessor/prompt/template/formatters.rs), seen running; P1 to P6 of text.md §3. A rendering that
// fails counts as empty.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import type { RenderLimits } from "./budget.ts";
import type { Template } from "./evaluate.ts";
import type { Value } from "./values.ts";

export interface TemplateTraits {
  /** P1: raises when a system turn is not the first. */
  readonly refusesLaterSystemTurns: boolean;
  /** P2: raises when a user turn follows a user turn. */
  readonly refusesAdjacentUserTurns: boolean;
  /** P3: shows content only where it is a list of parts. */
  readonly needsContentParts: boolean;
  /** P4: what stands for a part that is no text; undefined: the list of parts reaches the template. */
  readonly mediaPlaceholder: string | undefined;
  /** P5: wants the arguments of calls as text. */
  readonly keepsArgumentText: boolean;
  /** P6: shows reasoning only where it is one text. */
  readonly needsReasoningText: boolean;
  /** The source has the word `reasoning_content`. */
  readonly readsReasoning: boolean;
}

/** What one model's templates have in common. */
export interface ProbeOptions {
  /** Where content is probed, also for the template that is used with tools. */
  readonly contentTemplate: Template | undefined;
  /** bos_token, eos_token, unk_token. */
  readonly tokens: ReadonlyMap<string, Value>;
  /** Whether the template is the one for requests with tools. */
  readonly hasTools: boolean;
}

/** Templates of real models need some hundred steps for a probe. */
const probeLimits: RenderLimits = { stepsMax: 100_000, textMax: 1024 * 1024, depthMax: 500 };

export function probeTemplate(template: Template, options: ProbeOptions): TemplateTraits {
  const probe = new Probe(template, options);
  const isUsable = probe.renders([turn("system", "s"), turn("user", "u")]);
  const content = new ContentProbe(options.contentTemplate);
  const needsContentParts = content.needsParts();
  return {
    refusesLaterSystemTurns: isUsable && !laterSystemTurns.every((messages) => probe.renders(messages)),
    refusesAdjacentUserTurns: isUsable && !probe.renders([turn("system", "s"), turn("user", "u0"), turn("user", "u1")]),
    needsContentParts,
    mediaPlaceholder: needsContentParts ? undefined : content.placeholder(),
    keepsArgumentText: template.source.includes("arguments is string") && probe.showsArgumentText(),
    needsReasoningText: probe.showsOnlyReasoningText(),
    readsReasoning: template.source.includes("reasoning_content"),
  };
}

type Message = ReadonlyMap<string, LosslessJson>;

function turn(role: string, content: LosslessJson, more: readonly (readonly [string, LosslessJson])[] = []): Message {
  return new Map<string, LosslessJson>([["role", role], ["content", content], ...more]);
}

function object(members: Readonly<Record<string, LosslessJson>>): Map<string, LosslessJson> {
  return new Map(Object.entries(members));
}

const laterSystemTurns = [
  [turn("system", "s0"), turn("user", "u"), turn("system", "s1")],
  [turn("system", "s0"), turn("user", "u"), turn("assistant", "a"), turn("system", "s1"), turn("user", "u2")],
];

const probeTool = object({
  type: "function",
  function: object({ name: "probe", description: "", parameters: object({ type: "object", properties: new Map() }) }),
});

const argumentText = '{"probe": "value"}';
const callHistory = [
  turn("user", "u"),
  turn("assistant", "", [
    ["tool_calls", [object({ id: "call_0", type: "function", function: object({ name: "probe", arguments: argumentText }) })]],
  ]),
  turn("tool", "r", [["tool_call_id", "call_0"]]),
];

/** With a character that no JSON and no printed list shows as it is: a list that is only dumped does not count as shown. */
const oneThought = "\u0001reasoning_content_probe_text\u0001";
const thoughts = ["\u0001reasoning_content_probe_text_0\u0001", "\u0001reasoning_content_probe_text_1\u0001"];

class Probe {
  readonly #template: Template;
  readonly #context: ReadonlyMap<string, Value>;

  constructor(template: Template, { tokens, hasTools }: ProbeOptions) {
    this.#template = template;
    this.#context = new Map<string, Value>([...tokens, ["tools", hasTools ? [probeTool] : null]]);
  }

  renders(messages: readonly Message[]): boolean {
    return this.#rendered(messages, false) !== undefined;
  }

  showsArgumentText(): boolean {
    return this.#rendered(callHistory, true)?.includes(argumentText) === true;
  }

  showsOnlyReasoningText(): boolean {
    const shown = (reasoning: LosslessJson) =>
      this.#rendered([turn("user", "u"), turn("assistant", "a", [["reasoning_content", reasoning]])], false) ?? "";
    if (!shown(oneThought).includes(oneThought)) return false;
    const list = shown(thoughts);
    return !thoughts.some((thought) => list.includes(thought));
  }

  #rendered(messages: readonly Message[], addGenerationPrompt: boolean): string | undefined {
    return rendered(
      this.#template,
      new Map<string, Value>([...this.#context, ["messages", messages], ["add_generation_prompt", addGenerationPrompt]]),
    );
  }
}

/** Templates are known by what they are made of where parts have to become one text. */
const placeholders = [
  { marks: ["<|end|>", "<|assistant|>"], placeholder: "<|image_{n}|>" },
  { marks: ["USER:", "ASSISTANT:"], placeholder: "<image>" },
];

const contentText = "template_test";

/** Probes of user content, without tokens and tools. */
class ContentProbe {
  readonly #template: Template | undefined;

  constructor(template: Template | undefined) {
    this.#template = template;
  }

  needsParts(): boolean {
    return this.#shown([textPart]).includes(contentText) && !this.#shown(contentText).includes(contentText);
  }

  placeholder(): string | undefined {
    const known = placeholders.find(({ marks }) => marks.every((mark) => this.#template?.source.includes(mark)));
    return known?.placeholder ?? (this.#passesContentOn() ? "" : undefined);
  }

  /** The whole prompt is the content, and a list of parts is printed as a list. */
  #passesContentOn(): boolean {
    if (this.#shown(contentText).trim() !== contentText) return false;
    const list = this.#shown([textPart, object({ type: "image" })]);
    return list.includes("[") && list.includes("type");
  }

  #shown(content: LosslessJson): string {
    const context = new Map<string, Value>([
      ["messages", [turn("user", content)]],
      ["add_generation_prompt", false],
    ]);
    return (this.#template === undefined ? undefined : rendered(this.#template, context)) ?? "";
  }
}

const textPart = object({ type: "text", text: contentText });

/** The prompt; undefined when the template raises. */
function rendered(template: Template, context: ReadonlyMap<string, Value>): string | undefined {
  try {
    return template.render(context, probeLimits);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}
