// The templates of a model, and which one a request gets.
//
//   chat_template.jinja  >  chat_template.json {"chat_template": …}  >  tokenizer_config.json "chat_template": …
//   "…"                                          one template for all requests
//   [{"name": "default", "template": "…"}, …]    Hugging Face's list: `tool_use` for requests with tools, if it is there
//   [{"default": "…", "tool_use": "…"}]          the same, as Dynamo reads lists
//
// Source: Dynamo 1.6.1; Hugging Face's list is ours (Dynamo serves no request with it). A model without a template that can be
// read is refused.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import { Template } from "./template/evaluate.ts";
import { probeTemplate, type TemplateTraits } from "./template/probes.ts";
import type { Value } from "./template/values.ts";

export interface ChatTemplate {
  readonly template: Template;
  readonly traits: TemplateTraits;
}

export interface TemplateFiles {
  /** Text of chat_template.jinja. */
  readonly jinja: string | undefined;
  /** chat_template.json, parsed. */
  readonly json: LosslessJson | undefined;
  /** `chat_template` of tokenizer_config.json. */
  readonly config: LosslessJson | undefined;
}

export class ChatTemplates {
  readonly #plain: ChatTemplate;
  readonly #withTools: ChatTemplate;

  /**
   * @param tokens bos_token, eos_token, unk_token as the template sees them
   * @throws AppError `configuration` when there is no template, or none that can be read
   */
  constructor(files: TemplateFiles, tokens: ReadonlyMap<string, Value>) {
    const sources = namedSources(files);
    const plain = Template.parse(sourceNamed(sources, "default"));
    const withTools = sources.has("tool_use") ? Template.parse(sourceNamed(sources, "tool_use")) : plain;
    const probed = (template: Template, hasTools: boolean): ChatTemplate => ({
      template,
      traits: probeTemplate(template, { contentTemplate: plain, tokens, hasTools }),
    });
    this.#plain = probed(plain, false);
    this.#withTools = probed(withTools, true);
  }

  for(hasTools: boolean): ChatTemplate {
    return hasTools ? this.#withTools : this.#plain;
  }
}

function namedSources({ jinja, json, config }: TemplateFiles): ReadonlyMap<string, string> {
  if (jinja !== undefined) return new Map([["default", jinja]]);
  const written = (json instanceof Map ? json.get("chat_template") : undefined) ?? config ?? null;
  if (written === null) throw new AppError("configuration", "the model has no chat template");
  if (typeof written === "string") return new Map([["default", written]]);
  if (!Array.isArray(written)) throw new AppError("configuration", "the chat template is neither text nor a list");
  return new Map(written.flatMap(listedSources));
}

/** One entry of either list form. */
function listedSources(entry: LosslessJson): (readonly [string, string])[] {
  if (!(entry instanceof Map)) return [];
  const [name, template] = [entry.get("name"), entry.get("template")];
  if (typeof name === "string" && typeof template === "string") return [[name, template]];
  return [...entry].flatMap(([key, source]) => (typeof source === "string" ? [[key, source] as const] : []));
}

function sourceNamed(sources: ReadonlyMap<string, string>, name: string): string {
  const source = sources.get(name);
  if (source === undefined) throw new AppError("configuration", `the list of chat templates has no \`${name}\``);
  return source;
}
