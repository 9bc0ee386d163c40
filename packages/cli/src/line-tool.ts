// Runs a JSON Lines tool on stdin and stdout.
import { field, helpText, parseConfig, yesNo } from "@mm-router/runtime";
import { z } from "zod";
import type { LineTool } from "./command-table.ts";
import { runJsonLines } from "./jsonl.ts";

const fields = {
  release: field(z.string().optional(), { flag: "release", help: "Dynamo release whose behaviour is asked for (default: the newest)" }),
  strict: field(yesNo.default(false), { flag: "strict", help: "exit with 1 when a line ended in an error" }),
};

export async function runLineTool(tool: LineTool, argv: readonly string[]): Promise<number> {
  if (argv.includes("--help")) {
    process.stdout.write(helpText(`mmr ${tool.name} < in.jsonl > out.jsonl`, fields));
    return 0;
  }
  const { release, strict } = parseConfig(fields, argv, {});
  const command = tool.createCommand(release === undefined ? {} : { release });
  const failures = await runJsonLines(command, { input: process.stdin, output: process.stdout });
  return strict && failures > 0 ? 1 : 0;
}
