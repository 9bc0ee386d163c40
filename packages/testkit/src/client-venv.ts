// The official Python clients, in .cache/clients.
import { join } from "node:path";
import { projectRoot } from "./project-root.ts";
import { ensureVenv } from "./python-venv.ts";

/** Path of a Python that has `openai` and `anthropic`. @throws Missing as `ensureVenv` */
export function ensureClients(say: (line: string) => void): Promise<string> {
  return ensureVenv(
    {
      name: "the Python clients of OpenAI and Anthropic",
      folder: join(projectRoot, ".cache", "clients"),
      steps: [["openai==3.54.0", "anthropic==2.12.0"]],
      check: "import openai, anthropic",
    },
    say,
  );
}
