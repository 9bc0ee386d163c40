// Template and tokenizer of a model, from the files that its card names.
//
//   card path or http address  →  --model-path/<file name>  →  folder of source_path/<file name>
//
// The first place that has the file with the card's checksum counts: workers and frontend may see different disks.
// Source: Dynamo 1.6.1 (model_card.rs); evidence: golden wire card-acceptance, discovery.
import { basename, join } from "node:path";
import { AppError, type CardFile, type ModelCard } from "@mm-router/protocol";
import { loadTextModelInTurns, type TextModel } from "../text/index.ts";

export interface CardFileSource {
  /** Bytes of the file, checksum verified. */
  read(file: CardFile): Promise<Buffer>;
  /** Folder of a model, by path or hub name. */
  resolveFolder(nameOrPath: string): Promise<string>;
}

export interface CardFileOptions {
  /** `--model-path`. */
  readonly modelPath: string | undefined;
  /** For cards that do not say whether `tool_choice: "none"` hides the tools. */
  readonly hidesToolsForNone: boolean;
  /** Gets a sentence about what is slower than it should be. */
  readonly warn: (sentence: string) => void;
}

/** @throws AppError when a file cannot be had, or is not what its name says */
export async function loadCardText(card: ModelCard, source: CardFileSource, options: CardFileOptions): Promise<TextModel> {
  const read = (file: CardFile | undefined) => (file === undefined ? undefined : readAnywhere(file, card, source, options));
  const template = card.chat_template_file?.hf_chat_template?.file;
  const [tokenizerJson, tokenizerConfig, templateBytes, generationConfig, config] = await Promise.all([
    read(card.tokenizer?.hf_tokenizer_json),
    read(card.prompt_formatter?.hf_tokenizer_config_json),
    read(template),
    read(card.gen_config?.hf_generation_config_json),
    read(card.model_info?.hf_config_json),
  ]);
  if (tokenizerJson === undefined || tokenizerConfig === undefined) {
    throw new AppError("configuration", "the card has no tokenizer.json or no tokenizer_config.json; other tokenizers are not supported");
  }
  const isJson = template !== undefined && fileNameOf(template).endsWith(".json");
  return loadTextModelInTurns(
    {
      tokenizerJson,
      tokenizerConfig,
      ...(templateBytes !== undefined && { [isJson ? "chatTemplateJson" : "chatTemplate"]: templateBytes.toString("utf8") }),
      ...(generationConfig !== undefined && { generationConfig }),
      ...(config !== undefined && { config }),
    },
    { hidesToolsForNone: card.runtime_config?.exclude_tools_when_tool_choice_none ?? options.hidesToolsForNone, warn: options.warn },
  );
}

async function readAnywhere(file: CardFile, card: ModelCard, source: CardFileSource, { modelPath }: CardFileOptions): Promise<Buffer> {
  try {
    return await source.read(file);
  } catch (error) {
    for (const folder of await otherFolders(card, source, modelPath)) {
      const bytes = await source.read({ ...file, path: join(folder, fileNameOf(file)) }).catch(() => undefined); // the card's own place is the one to complain about
      if (bytes !== undefined) return bytes;
    }
    throw error;
  }
}

async function otherFolders(card: ModelCard, source: CardFileSource, modelPath: string | undefined): Promise<string[]> {
  const resolved = card.source_path ? await source.resolveFolder(card.source_path).catch(() => undefined) : undefined;
  return [modelPath, resolved].filter((folder) => folder !== undefined);
}

function fileNameOf({ path }: CardFile): string {
  return basename(/^https?:/.test(path) ? new URL(path).pathname : path);
}
