// From a chat request to its prompt: which template, which messages, which names it sees.
//
//   messages, tools ── rules (preprocess/messages.ts) ──┐
//   bos, eos, unk, add_generation_prompt ───────────────┼── template ──► prompt
//   chat_template_kwargs, reasoning_effort, thinking ───┘
//
// Source: Dynamo 1.6.1; text.md §3, §3.1. A kwarg never replaces one of the names in the upper two lines;
// what thinking.ts makes of the lower one is one set of kwargs.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import { type Message, templateMessages } from "../preprocess/messages.ts";
import { templateTools } from "../preprocess/template-tools.ts";
import type { ChatTemplate, ChatTemplates } from "./chat-template.ts";
import type { Value } from "./template/values.ts";
import { type Thinking, thinkingArguments } from "./thinking.ts";

export interface ChatPromptInput {
  /** Typed messages (message-shape.ts). */
  readonly messages: readonly Message[];
  /** The request's `tools`, as they came. */
  readonly tools?: LosslessJson;
  /** The request's `tool_choice`, as it came. */
  readonly toolChoice?: LosslessJson;
  /** `chat_template_kwargs` or `chat_template_args`. */
  readonly chatTemplateArgs?: ReadonlyMap<string, LosslessJson>;
  readonly reasoningEffort?: string;
  readonly thinking?: Thinking;
  /** Default true. */
  readonly addGenerationPrompt?: boolean;
  /** Leaves the last message open; only with `addGenerationPrompt: false`. */
  readonly continueFinalMessage?: boolean;
}

export interface RenderOptions {
  /** `--exclude-tools-when-tool-choice-none`, default true. */
  readonly hidesToolsForNone: boolean;
}

export class PromptRenderer {
  readonly #templates: ChatTemplates;
  readonly #tokens: ReadonlyMap<string, Value>;
  readonly #options: RenderOptions;

  /** @param tokens bos_token, eos_token, unk_token as the template sees them */
  constructor(templates: ChatTemplates, tokens: ReadonlyMap<string, Value>, options: RenderOptions) {
    this.#templates = templates;
    this.#tokens = tokens;
    this.#options = options;
  }

  /** @throws AppError `invalid_request` with the template's own message where it has one */
  render(input: ChatPromptInput): string {
    const tools = templateTools(input.tools, { toolChoice: input.toolChoice, hidesToolsForNone: this.#options.hidesToolsForNone });
    const chosen = this.#templates.for(Array.isArray(tools) && tools.length > 0);
    const render = (messages: readonly Message[]) => this.#rendered(chosen, messages, tools, input);
    return input.continueFinalMessage === true ? continued(input.messages, render) : render(input.messages);
  }

  #rendered({ template, traits }: ChatTemplate, messages: readonly Message[], tools: LosslessJson | undefined, input: ChatPromptInput) {
    const context = new Map<string, Value>([
      ["messages", templateMessages(messages, traits)],
      ["tools", tools ?? null],
      ...this.#tokens,
      ["add_generation_prompt", input.addGenerationPrompt ?? true],
    ]);
    for (const [name, value] of thinkingArguments(input)) {
      if (!context.has(name)) context.set(name, value);
    }
    return template.render(context);
  }
}

/**
 * The prompt up to the end of the last message's content: what stands before a marker that is put there, as far as the prompt
 * without the marker has it too (templates that trim content drop its trailing space).
 */
function continued(messages: readonly Message[], render: (messages: readonly Message[]) => string): string {
  const plain = render(messages);
  const marker = unusedMarker(plain);
  const marked = render([...messages.slice(0, -1), withMarker(messages.at(-1), marker)]);
  const end = marked.indexOf(marker);
  if (end < 0) throw new AppError("invalid_request", "continue_final_message: the chat template does not show the final message");
  return marked.slice(0, commonLength(plain, marked.slice(0, end)));
}

function unusedMarker(text: string): string {
  let marker = "CONTINUE-HERE";
  while (text.includes(marker)) marker += "-HERE";
  return marker;
}

function withMarker(message: Message | undefined, marker: string): Message {
  const content = message?.get("content");
  if (typeof content === "string" && content !== "") return new Map([...(message ?? []), ["content", content + marker]]);
  const parts = Array.isArray(content) ? content : [];
  const last = parts.findLastIndex((part) => part instanceof Map && part.get("type") === "text");
  if (last < 0) throw new AppError("invalid_request", "continue_final_message: the final message has no text to continue");
  const marked = parts.map((part, index) =>
    index === last && part instanceof Map ? new Map([...part, ["text", `${part.get("text")}${marker}`]]) : part,
  );
  return new Map([...(message ?? []), ["content", marked]]);
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
