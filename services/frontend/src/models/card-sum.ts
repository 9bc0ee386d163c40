// Whether two model cards mean the same model.
//
// Cards of one model at one endpoint must agree in what decides tokens and blocks: name, input, files, context length, block size.
// Paths do not count (the same file may lie elsewhere), nor do `model_type` and `runtime_config` (two releases differ in them).
// Source: Dynamo 1.6.1, mdcsum (blake3 over the same facts); the value itself is only compared with our own.
import { createHash } from "node:crypto";
import type { CardFile, ModelCard } from "@mm-router/protocol";

/** 64 hex digits; also `mdc_sum` of the requests that we write. */
export function cardSum(card: ModelCard): string {
  const facts = [
    card.display_name,
    card.model_input,
    card.context_length ?? 0,
    card.kv_cache_block_size,
    ...cardFilesOf(card).map((file) => file.checksum),
  ];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}

/** Names the text side of a model: cards with the same files, and the same rule for tools, share tokenizer and template. */
export function textKey(card: ModelCard): string {
  const checksums = cardFilesOf(card).map((file) => file.checksum);
  return [...checksums, card.runtime_config?.exclude_tools_when_tool_choice_none ?? true].join(" ");
}

function cardFilesOf(card: ModelCard): CardFile[] {
  const files = [
    card.model_info?.hf_config_json,
    card.tokenizer?.hf_tokenizer_json,
    card.prompt_formatter?.hf_tokenizer_config_json,
    card.gen_config?.hf_generation_config_json,
    card.chat_template_file?.hf_chat_template?.file,
  ];
  return files.filter((file) => file !== undefined);
}
