// Dynamo's own Python client, of the cell's release: what it yields is what ours must yield.
import { join } from "node:path";
import { type Place, type Release, runPythonScript } from "@mm-router/testkit";
import type { Target } from "./our-client.ts";

const script = join(import.meta.dirname, "../python/call_endpoint.py");
const mark = "@@ ";

export interface PythonOutcome {
  readonly items: readonly unknown[];
  /** Text of the exception. */
  readonly error: string | null;
}

/** Calls one instance with each request in turn, in one process. */
export async function callWithPython(
  place: Place,
  release: Release,
  target: Target,
  requests: readonly unknown[],
): Promise<readonly PythonOutcome[]> {
  const address = [place.namespace, target.component, target.endpoint ?? "generate", `${target.instanceId}`];
  const args = [...address, ...requests.map((request) => JSON.stringify(request))];
  const lines = await runPythonScript(place, { release, script, args });
  return lines.filter((line) => line.startsWith(mark)).map((line) => JSON.parse(line.slice(mark.length)) as PythonOutcome);
}
