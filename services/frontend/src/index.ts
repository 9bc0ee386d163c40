// The frontend: OpenAI's HTTP API in front of Dynamo workers and mm-routers.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runService } from "@mm-router/runtime";
import { frontendFields } from "./config.ts";
import { createFrontend } from "./service.ts";

export { type Frontend, createFrontend } from "./service.ts";
export { type ChatPreview, previewChat } from "./chat-preview.ts";
export { type FrontendConfig, frontendFields } from "./config.ts";

const version = (JSON.parse(readFileSync(join(import.meta.dirname, "..", "package.json"), "utf8")) as { version: string }).version;

/** `mmr frontend`. @param argv arguments after the command's name */
export function run(argv: readonly string[]): Promise<never> {
  return runService({ name: "frontend", version, fields: frontendFields, argv, create: createFrontend });
}
