// Python programs that talk to a frontend: the official clients in .cache/clients, a fuzzer in .cache/schemathesis.
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

/** Path of a Python that has `schemathesis`, which makes requests of an OpenAPI description. @throws Missing as `ensureVenv` */
export function ensureSchemathesis(say: (line: string) => void): Promise<string> {
  return ensureVenv(
    {
      name: "schemathesis",
      folder: join(projectRoot, ".cache", "schemathesis"),
      steps: [["schemathesis==4.32.5"]],
      check: "import schemathesis",
    },
    say,
  );
}
