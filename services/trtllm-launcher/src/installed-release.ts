// Which Dynamo and which engine a Python has, asked once before anything is started.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { AppError } from "@mm-router/protocol";

const run = promisify(execFile);
const probeTimeoutMs = 60_000; // importlib.metadata on a cold disk; no engine is imported

/** Prints the two versions as JSON; `null` for what is not installed. Imports neither of them: that would take seconds and a GPU. */
const probe = `
import importlib.metadata as m, importlib.util as u, json
def version(*names):
    for name in names:
        try: return m.version(name)
        except m.PackageNotFoundError: pass
def there(name):
    try: return u.find_spec(name) is not None
    except ModuleNotFoundError: return False
print(json.dumps({"dynamo": version("ai-dynamo"), "engine": version("tensorrt-llm", "tensorrt_llm"),
                  "worker": there("dynamo.trtllm"), "engineModule": there("tensorrt_llm")}))
`;

export interface InstalledRelease {
  /** Dynamo's release, e.g. `1.4.2`. */
  readonly dynamo: string;
  /** TensorRT-LLM's version, e.g. `1.3.0rc22`; undefined when the module is there without package metadata. */
  readonly engine?: string;
}

export interface PythonChoice {
  /** A Dynamo checkout or venv (DYNAMO_HOME). */
  readonly dynamoHome?: string;
  readonly path: string | undefined;
}

/** The Python that would run the workers: DYNAMO_HOME's own, else the one in PATH. */
export function pythonOf({ dynamoHome }: PythonChoice): string {
  if (dynamoHome === undefined) return "python3";
  const candidates = ["bin/python", ".venv/bin/python", "venv/bin/python"].map((path) => join(dynamoHome, path));
  return candidates.find((path) => existsSync(path)) ?? "python3";
}

/**
 * Asks a Python for its Dynamo and TensorRT-LLM.
 *
 * @param environment as the workers will get it (PYTHONPATH counts)
 * @throws AppError `configuration` that names what is missing, and the remedy
 */
export async function installedRelease(
  python: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<InstalledRelease> {
  const { stdout } = await run(python, ["-c", probe], { env: { ...environment }, timeout: probeTimeoutMs }).catch((cause: unknown) => {
    throw new AppError("configuration", `${python} could not be asked for its packages: install Python 3.10 or newer, or set DYNAMO_HOME`, {
      cause,
    });
  });
  return readProbe(python, stdout);
}

/** The meaning of what the probe printed. */
export function readProbe(python: string, stdout: string): InstalledRelease {
  const found = JSON.parse(stdout) as { dynamo: string | null; engine: string | null; worker: boolean; engineModule: boolean };
  if (!found.worker || found.dynamo === null) {
    throw new AppError(
      "configuration",
      `no dynamo.trtllm in ${python}: install it there ('pip install "ai-dynamo[trtllm]"'), set DYNAMO_HOME to a venv or checkout that has it, or run with ENGINE=simulated`,
    );
  }
  if (!found.engineModule) {
    throw new AppError(
      "configuration",
      `dynamo ${found.dynamo} in ${python} has no tensorrt_llm: install the engine that this release pins ('pip install "ai-dynamo[trtllm]==${found.dynamo}"')`,
    );
  }
  return { dynamo: found.dynamo, ...(found.engine !== null && { engine: found.engine }) };
}
