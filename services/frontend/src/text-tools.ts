// The text side of a model without a server: for tools that ask what a prompt becomes.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@mm-router/protocol";
import { parseConfig } from "@mm-router/runtime";
import { frontendFields } from "./config.ts";
import { parseJsonBody } from "./http/request-body.ts";
import { parseChatRequest } from "./preprocess/chat-request.ts";
import { mediaReferences } from "./preprocess/media.ts";
import { promptOfChat } from "./preprocess/preprocessor.ts";
import { validateChat } from "./preprocess/validation.ts";
import { requestRules } from "./service.ts";
import { loadTextModel, type TextModel } from "./text/index.ts";

/** @throws AppError `configuration` for a folder whose template or tokenizer we cannot use */
export async function readTextModel(folder: string): Promise<TextModel> {
  const read = (name: string) => readFile(join(folder, name)).catch(absentFile);
  const [tokenizerJson, tokenizerConfig, jinja, json, generationConfig, config] = await Promise.all(
    ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "chat_template.json", "generation_config.json", "config.json"].map(
      read,
    ),
  );
  if (tokenizerJson === undefined || tokenizerConfig === undefined) {
    throw new AppError("configuration", `${folder} has no tokenizer.json or no tokenizer_config.json; other tokenizers are not supported`);
  }
  return loadTextModel({
    tokenizerJson,
    tokenizerConfig,
    ...(jinja !== undefined && { chatTemplate: jinja.toString("utf8") }),
    ...(json !== undefined && { chatTemplateJson: json.toString("utf8") }),
    ...(generationConfig !== undefined && { generationConfig }),
    ...(config !== undefined && { config }),
  });
}

function absentFile(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

export interface RenderedChat {
  /** What the template printed; undefined for a request that brings its token ids. */
  readonly prompt: string | undefined;
  readonly tokenIds: Uint32Array;
}

/**
 * What a frontend with default settings makes of a request; the model's context length is not looked at.
 *
 * @param json a chat completion request as a client sends it
 * @throws AppError as the frontend would answer
 */
export async function renderChat(json: string, text: TextModel): Promise<RenderedChat> {
  const rules = requestRules(parseConfig(frontendFields, [], {}));
  const request = parseChatRequest(parseJsonBody(Buffer.from(json)));
  validateChat(request, rules.validation);
  mediaReferences(request.members.messages, rules.requestLimits);
  const { formatted, tokenIds } = await promptOfChat(request, text);
  return { prompt: formatted, tokenIds };
}
