// The frontend: OpenAI's HTTP API in front of Dynamo workers and mm-routers.
import { packageVersion, runService } from "@mm-router/runtime";
import { frontendFields } from "./config.ts";
import { createFrontend } from "./service.ts";

export { type Frontend, createFrontend } from "./service.ts";
export { type ChatPreview, previewChat } from "./chat-preview.ts";
export { type FrontendConfig, frontendFields } from "./config.ts";
export { type RenderedChat, readTextModel, renderChat } from "./text-tools.ts";
export { type TextModel } from "./text/index.ts";

/** `mmr frontend`. @param argv arguments after the command's name */
export function run(argv: readonly string[]): Promise<never> {
  return runService({
    name: "frontend",
    version: packageVersion(import.meta.dirname),
    fields: frontendFields,
    argv,
    create: createFrontend,
  });
}
