// One model's template, tokenizer and detokenizer, from its files.
//
//   tokenizer.json ────────────── tokenizer, decoder
//   tokenizer_config.json ─────── bos, eos, unk; chat template; special tokens that tokenizer.json lacks
//   chat_template.jinja, .json ── chat template, before the one of tokenizer_config.json
//   generation_config.json, config.json ── EOS ids
//
// Source: Dynamo 1.6.1; text.md §2.
import { AppError, type LosslessJson, parseJsonLossless } from "@mm-router/protocol";
import { ChatTemplates } from "./chat-template.ts";
import { Decoder } from "./detokenizer/decoder.ts";
import { Detokenizer, type DetokenizerOptions } from "./detokenizer/detokenizer.ts";
import { type TokenText, TokenTexts } from "./detokenizer/token-texts.ts";
import { eosTokenIdsOf } from "./eos-tokens.ts";
import { type ChatPromptInput, PromptRenderer } from "./prompt-renderer.ts";
import { atOnce, inTurns, type Steps } from "./steps.ts";
import type { Value } from "./template/values.ts";
import { LongTexts } from "./tokenizer/long-texts.ts";
import { Tokenizer } from "./tokenizer/tokenizer.ts";

export interface TextModelFiles {
  readonly tokenizerJson: Uint8Array;
  readonly tokenizerConfig: Uint8Array;
  /** Text of chat_template.jinja. */
  readonly chatTemplate?: string;
  /** Text of chat_template.json. */
  readonly chatTemplateJson?: string;
  readonly generationConfig?: Uint8Array;
  readonly config?: Uint8Array;
}

export interface TextModelOptions {
  /** `--exclude-tools-when-tool-choice-none`; default true. */
  readonly hidesToolsForNone?: boolean;
  /** Gets a sentence about what is slower than it should be. */
  readonly warn?: (sentence: string) => void;
}

export interface TextModel {
  readonly eosTokenIds: readonly number[];
  /** Ids are below it. */
  readonly vocabularySize: number;
  /** @throws AppError `invalid_request` with the template's own message where it has one */
  render(input: ChatPromptInput): string;
  /** Ids of the whole text; no BOS but the one that the text itself has. */
  encode(text: string): Uint32Array;
  /**
   * The same, and a long text on a thread: other requests go on.
   *
   * @throws AppError `overloaded`, `invalid_request` for one that takes too long
   */
  encodeAside(text: string): Uint32Array | Promise<Uint32Array>;
  detokenizer(options: DetokenizerOptions): Detokenizer;
  tokenText(id: number): TokenText;
  /** Whether the text is a special token, which an answer does not show. */
  isSpecialToken(text: string): boolean;
}

/** UTF-16 units from which a text is long; up to here encoding takes some ten milliseconds. */
const longTextMin = 128 * 1024;

/** Prompts that Dynamo's own code writes, without a template. Source: Dynamo 1.6.1, preprocessor/prompt. */
const nativePromptTypes = new Set(["deepseek_v32", "deepseek_v4", "deepseek_v41", "kimi_k3", "inkling_mm_model"]);

/** Half a second for 150 000 tokens, in which nothing else goes on. @throws AppError `configuration` for a model whose text we cannot handle */
export function loadTextModel(files: TextModelFiles, options: TextModelOptions = {}): TextModel {
  return atOnce(textModel(files, options));
}

/** The same while other requests are answered. */
export function loadTextModelInTurns(files: TextModelFiles, options: TextModelOptions = {}): Promise<TextModel> {
  return inTurns(textModel(files, options));
}

function* textModel(files: TextModelFiles, options: TextModelOptions): Steps<TextModel> {
  const tokenizerConfig = jsonObject(files.tokenizerConfig, "tokenizer_config.json");
  const config = files.config === undefined ? undefined : jsonObject(files.config, "config.json");
  const modelType = config?.get("model_type");
  if (typeof modelType === "string" && nativePromptTypes.has(modelType)) {
    throw new AppError("configuration", `prompts of model type ${modelType} are not made by a chat template; it is not supported`);
  }
  const tokens = templateTokens(tokenizerConfig);
  const templates = new ChatTemplates(
    {
      jinja: files.chatTemplate,
      json: files.chatTemplateJson === undefined ? undefined : jsonObject(files.chatTemplateJson, "chat_template.json"),
      config: tokenizerConfig.get("chat_template"),
    },
    tokens,
  );
  const tokenizer = yield* Tokenizer.of(files.tokenizerJson, tokenizerConfig);
  const longTexts = new LongTexts(files);
  if (tokenizer.warning !== undefined) options.warn?.(tokenizer.warning);
  const renderer = new PromptRenderer(templates, tokens, { hidesToolsForNone: options.hidesToolsForNone ?? true });
  const texts = new TokenTexts(tokenizer.vocabulary, new Decoder(tokenizer.decoder));
  const generationConfig = files.generationConfig === undefined ? undefined : jsonObject(files.generationConfig, "generation_config.json");
  return {
    eosTokenIds: eosTokenIdsOf({ generationConfig, config }),
    vocabularySize: tokenizer.vocabulary.size,
    render: (input) => renderer.render(input),
    encode: (text) => tokenizer.encode(text),
    encodeAside: (text) => (text.length < longTextMin ? tokenizer.encode(text) : longTexts.encode(text)),
    detokenizer: (detokenizerOptions) => new Detokenizer(texts, detokenizerOptions),
    tokenText: (id) => texts.alone(id),
    isSpecialToken: (text) => tokenizer.vocabulary.isSpecialText(text),
  };
}

function jsonObject(file: Uint8Array | string, name: string): Map<string, LosslessJson> {
  let parsed: LosslessJson;
  try {
    parsed = parseJsonLossless(file);
  } catch (cause) {
    throw new AppError("configuration", `${name} is not JSON: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  if (!(parsed instanceof Map)) throw new AppError("configuration", `${name} is not a JSON object`);
  return parsed;
}

export function templateTokens(config: ReadonlyMap<string, LosslessJson>): ReadonlyMap<string, Value> {
  return new Map(["bos_token", "eos_token", "unk_token"].map((name) => [name, tokenTextOf(config.get(name))]));
}

/** Text, or an object that has it as `content`; none for an absent one. */
function tokenTextOf(token: LosslessJson | undefined): Value {
  const text = token instanceof Map ? token.get("content") : token;
  return typeof text === "string" ? text : null;
}
