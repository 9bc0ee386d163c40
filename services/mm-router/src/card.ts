// Our own model card: a Tokens model under the public name, written so that the frontends of all releases take it.
//
// Source: the superset of golden/wire/card-acceptance.json (`base`), which six real frontends list. Upstream's example
// registers Chat alone and without parsers, so that completions answer 404 and tool calls come back as text
// (golden/peer/registration-*.json).
// I1  Replicas must publish equal cards: a frontend drops a card that differs from the first of its name. So the card is
//     made of the model's files and of what all workers' cards agree on, never of this process.
import { type CardEntry, type ModelCard, slugOf } from "@mm-router/protocol";
import type { ModelFiles } from "./model-files.ts";

export interface RouterCardInput {
  readonly name: string;
  readonly sourcePath: string;
  readonly blockSize: number;
  readonly files: ModelFiles;
  readonly workers: readonly CardEntry[];
}

export function routerCard({ name, sourcePath, blockSize, files, workers }: RouterCardInput): ModelCard {
  const contextLength = Math.min(...workers.map(({ card }) => card.context_length || Number.POSITIVE_INFINITY));
  const known = Number.isFinite(contextLength) ? contextLength : 0;
  return {
    display_name: name,
    slug: slugOf(name),
    source_path: sourcePath,
    model_info: { hf_config_json: files.config },
    tokenizer: { hf_tokenizer_json: files.tokenizer },
    prompt_formatter: { hf_tokenizer_config_json: files.tokenizerConfig },
    ...(files.generationConfig && { gen_config: { hf_generation_config_json: files.generationConfig } }),
    ...(files.chatTemplate && { chat_template_file: { hf_chat_template: { is_custom: false, file: files.chatTemplate } } }),
    architectural_max_context_length: known,
    context_length: known,
    kv_cache_block_size: blockSize,
    migration_limit: 0,
    model_type: "Chat | Completions",
    model_input: "Tokens",
    worker_type: "aggregated",
    needs: [],
    runtime_config: {
      total_kv_blocks: null,
      max_num_seqs: null,
      max_num_batched_tokens: null,
      tool_call_parser: agreed(workers, "tool_call_parser"),
      reasoning_parser: agreed(workers, "reasoning_parser"),
      data_parallel_start_rank: 0,
      data_parallel_size: 1,
      enable_local_indexer: false,
      exclude_tools_when_tool_choice_none: workers.every(({ card }) => card.runtime_config?.exclude_tools_when_tool_choice_none !== false),
    },
    // a reader of 1.0 or 1.4 fails on anything else
    media_decoder: null,
    media_fetcher: null,
  };
}

/** The one value that the workers name; null where they name none or contradict each other. */
function agreed(workers: readonly CardEntry[], member: "tool_call_parser" | "reasoning_parser"): string | null {
  const values = new Set(workers.flatMap(({ card }) => card.runtime_config?.[member] ?? []));
  return values.size === 1 ? [...values][0]! : null;
}
