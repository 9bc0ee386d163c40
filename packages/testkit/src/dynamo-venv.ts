// A Python environment with one release of Dynamo, in .cache/dynamo/<release>.
//
// The two wheels come without dependencies: that leaves out the engines and CUDA; frontend and mocker need none, and `dynamo.trtllm`
// runs on the stand-in. pip then prints "dependency conflicts" and exits 0; the import check is what counts.
import { join } from "node:path";
import type { Release } from "./dynamo-release.ts";
import { projectRoot } from "./project-root.ts";
import { ensureVenv } from "./python-venv.ts";

/** What the wheels of all releases import here; bounds are those of the newest release's own metadata. */
const dependencies = [
  ...["transformers>=4.56,<4.58", "aiohttp", "kubernetes<33,>=32.0.1", "msgspec", "msgpack", "prometheus-client>=0.23.1,<1.0", "pyzmq"],
  ...["typing-extensions", "zstandard", "tqdm", "certifi", "redis<9,>=6.2", "pydantic>=2.10.6,<=2.13.5", "uvloop", "fastapi", "distro"],
  ...["filelock", "click<8.2", "typer", "setuptools", "pillow", "numpy", "requests", "httpx", "nats-py", "blake3", "xxhash"],
  "jinja2", // the chat template that a 0.9.1 worker renders for image requests
];

/**
 * Path of the environment's Python, installed on first use.
 *
 * @param say told in one line what is being installed
 * @throws Missing with the remedy when it cannot be installed
 */
export function ensureRelease(release: Release, say: (line: string) => void): Promise<string> {
  return ensureVenv(
    {
      name: `Dynamo ${release}`,
      folder: join(projectRoot, ".cache", "dynamo", release),
      steps: [["--no-deps", `ai-dynamo==${release}`, `ai-dynamo-runtime==${release}`], dependencies],
      check: "import dynamo.llm, dynamo.runtime",
    },
    say,
  );
}
