// The files of the model folder that our card names.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError, type CardFile } from "@mm-router/protocol";
import { cardFileOf } from "@mm-router/runtime";

/** Those that a model does not have are absent. */
export interface ModelFiles {
  readonly config: CardFile;
  readonly tokenizer: CardFile;
  readonly tokenizerConfig: CardFile;
  readonly generationConfig?: CardFile;
  /** chat_template.jinja; wins over the template in tokenizer_config.json. */
  readonly chatTemplate?: CardFile;
}

/** @throws AppError `configuration` when a file is missing without which no frontend lists a model */
export async function readModelFiles(folder: string): Promise<ModelFiles> {
  const [config, tokenizer, tokenizerConfig, generationConfig, chatTemplate] = await Promise.all([
    requiredFile(folder, "config.json"),
    requiredFile(folder, "tokenizer.json"),
    requiredFile(folder, "tokenizer_config.json"),
    optionalFile(folder, "generation_config.json"),
    optionalFile(folder, "chat_template.jinja"),
  ]);
  return { config, tokenizer, tokenizerConfig, ...(generationConfig && { generationConfig }), ...(chatTemplate && { chatTemplate }) };
}

async function requiredFile(folder: string, name: string): Promise<CardFile> {
  const file = await optionalFile(folder, name);
  if (file === undefined) throw new AppError("configuration", `the model folder ${folder} has no ${name}, which frontends need`);
  return file;
}

async function optionalFile(folder: string, name: string): Promise<CardFile | undefined> {
  const path = join(folder, name);
  const isThere = await stat(path).then(
    (facts) => facts.isFile(),
    () => false, // unreadable is as good as missing
  );
  return isThere ? await cardFileOf(path) : undefined;
}
