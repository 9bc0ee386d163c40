// Every command of ./mmr with the module that runs it. Modules are imported when their command is called: `mmr hash` must
// not load sharp, `mmr frontend` not the index.
import type { LineCommand } from "./jsonl.ts";

/** Runs with the arguments after the command's name; resolves to the exit code. */
export type RunCommand = (argv: readonly string[]) => Promise<number>;

/** A tool that reads JSON Lines; what its module in commands/ exports. */
export interface LineTool {
  readonly name: string;
  createCommand(options: { readonly release?: string }): LineCommand;
}

export interface CommandEntry {
  readonly help: string;
  readonly load: () => Promise<RunCommand>;
}

const lineTool = (help: string, load: () => Promise<LineTool>): CommandEntry => ({
  help,
  load: async () => {
    const [{ runLineTool }, tool] = await Promise.all([import("./line-tool.ts"), load()]);
    return (argv) => runLineTool(tool, argv);
  },
});

export const commandTable: Readonly<Record<string, CommandEntry>> = {
  frontend: { help: "OpenAI HTTP server", load: async () => (await import("@mm-router/frontend")).run },
  "mm-router": {
    help: "routes requests to the worker that holds their prefix",
    load: async () => (await import("@mm-router/mm-router")).run,
  },
  indexer: { help: "knows which worker holds which KV block", load: async () => (await import("@mm-router/indexer")).run },
  launcher: { help: "starts and keeps alive dynamo.trtllm workers", load: async () => (await import("@mm-router/trtllm-launcher")).run },
  launch: { help: "what ./launch.sh runs: the whole stack", load: async () => (await import("./launch/launch.ts")).run },
  doctor: { help: "checks the live system and says what to do", load: async () => (await import("./commands/doctor.ts")).run },
  watch: { help: "the running system, again every second", load: async () => (await import("./commands/watch.ts")).run },
  explain: { help: "why a worker would be chosen for a chat request", load: async () => (await import("./commands/explain.ts")).run },
  hash: lineTool("block and sequence hashes of tokens", () => import("./commands/hash.ts")),
  index: lineTool("a script for one in-memory index", () => import("./commands/index.ts")),
  select: lineTool("cost of each worker and the choice", () => import("./commands/select.ts")),
  render: lineTool("prompt and token ids of a chat request", () => import("./commands/render.ts")),
  decode: lineTool("text of token ids, whole or as it would stream", () => import("./commands/decode.ts")),
  image: lineTool("size, exactness and hashes of an image", () => import("./commands/image.ts")),
  expand: lineTool("routing tokens and block hashes of a prompt with images", () => import("./commands/expand.ts")),
  "image-tokens": lineTool("tokens that a model uses for an image size", () => import("./commands/image-tokens.ts")),
  "check-url": lineTool("whether the fetch policy allows a URL", () => import("./commands/check-url.ts")),
};
