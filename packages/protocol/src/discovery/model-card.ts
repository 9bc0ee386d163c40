// Model cards: what a model's servers say about it.
//
//   key    v1/mdc/{namespace}/{component}/{endpoint}/{id}[/{LoRA slug}]
//   value  {"type":"Model","namespace","component","endpoint","instance_id":u64,["model_suffix",]"card_json":CARD}
//
// Source: cards of running processes (golden/wire/discovery.json, golden/worker/*.json), and 53 variants shown to six real
// frontends (golden/wire/card-acceptance.json). A card is decoded when the frontends of 1.4 … 1.6 take it.
// I1  Unknown members are kept: every release adds some, and a card may be written again for others to read.
import { z } from "zod";
import { AppError } from "../errors.ts";
import type { InstanceId } from "../ids.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { type EndpointAddress, parseCardKey } from "../names.ts";
import { decodeAs } from "../schema.ts";

/** A file of the model: absolute path or http URL, and `blake3:<64 hex>` of its bytes. */
const cardFile = z.looseObject({
  path: z.string().min(1),
  checksum: z.string().regex(/^blake3:[0-9a-f]{64}$/),
  size: z.number().int().nonnegative().optional(), // ≥ 1.2, bytes
});

const u32 = z.number().int().min(0).max(0xffffffff);

const runtimeConfig = z.looseObject({
  total_kv_blocks: z.number().nullish(), // the engine's capacity; null up to 1.2
  max_num_seqs: z.number().nullish(),
  max_num_batched_tokens: z.number().nullish(),
  tool_call_parser: z.string().nullish(),
  reasoning_parser: z.string().nullish(),
  data_parallel_start_rank: u32.nullish(),
  data_parallel_size: u32.nullish(),
  enable_local_indexer: z.boolean().nullish(),
  exclude_tools_when_tool_choice_none: z.boolean().nullish(),
});

const modelCard = z
  .looseObject({
    display_name: z.string(),
    slug: z.string().regex(/^[a-z0-9\-_]*$/),
    source_path: z.string().nullish(),
    model_info: z.looseObject({ hf_config_json: cardFile.optional() }).nullish(),
    tokenizer: z.looseObject({ hf_tokenizer_json: cardFile.optional() }).nullish(),
    prompt_formatter: z.looseObject({ hf_tokenizer_config_json: cardFile.optional() }).nullish(),
    gen_config: z.looseObject({ hf_generation_config_json: cardFile.optional() }).nullish(),
    chat_template_file: z.looseObject({ hf_chat_template: z.looseObject({ is_custom: z.boolean(), file: cardFile }).optional() }).nullish(),
    extra_files: z.array(cardFile).nullish(),
    architectural_max_context_length: u32.nullish(),
    context_length: u32.nullish(),
    kv_cache_block_size: u32,
    migration_limit: u32,
    model_type: z.string().regex(/^[A-Z][A-Za-z]*( \| [A-Z][A-Za-z]*)*$/), // "Chat | Completions"
    model_input: z.enum(["Text", "Tokens"]),
    worker_type: z.string().nullish(),
    needs: z.array(z.unknown()).nullish(),
    aliases: z.array(z.string()).nullish(),
    runtime_config: runtimeConfig.nullish(),
  })
  .refine((card) => card.model_input === "Text" || (card.model_info && card.tokenizer && card.prompt_formatter), {
    message: "a Tokens card needs model_info, tokenizer and prompt_formatter",
  });

export type CardFile = z.output<typeof cardFile>;
export type ModelCard = z.output<typeof modelCard>;
export type ModelRuntimeConfig = z.output<typeof runtimeConfig>;

export interface CardEntry {
  readonly address: EndpointAddress;
  readonly instanceId: InstanceId;
  /** Slug of the LoRA adapter that this card is for. */
  readonly suffix?: string;
  readonly card: ModelCard;
}

const cardRecord = z.looseObject({ card_json: z.unknown() });

/** @throws AppError `protocol_error` for what the frontends of 1.4 … 1.6 do not take either */
export function decodeCardEntry(key: string, value: string): CardEntry {
  const named = parseCardKey(key);
  if (named === undefined) throw new AppError("protocol_error", `${key} is not the key of a model card`);
  const { card_json } = decodeAs(cardRecord, parseJson(value), `model card ${key}`);
  return { ...named, card: decodeModelCard(card_json, `model card ${key}`) };
}

export function decodeModelCard(value: unknown, what = "model card"): ModelCard {
  return decodeAs(modelCard, value, what);
}

export function encodeCardEntry(entry: CardEntry): string {
  const { address, instanceId, suffix, card } = entry;
  return stringifyJson({
    type: "Model",
    namespace: address.namespace,
    component: address.component,
    endpoint: address.endpoint,
    instance_id: instanceId,
    model_suffix: suffix,
    card_json: card,
  });
}

/** `"Chat | Completions"` → `["Chat", "Completions"]`. */
export function modelTypesOf(card: ModelCard): string[] {
  return card.model_type.split(" | ");
}
