import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { projectRoot } from "../src/project-root.ts";

/** Status and closing lines of a run of the fixtures. */
function run(environment: NodeJS.ProcessEnv): { status: number | null; output: string } {
  const vitest = join(projectRoot, "node_modules/vitest/vitest.mjs");
  const config = join(import.meta.dirname, "fixtures/vitest.config.ts");
  const child = spawnSync(process.execPath, [vitest, "run", "--config", config], {
    encoding: "utf8",
    env: { ...process.env, VITEST: undefined, ...environment },
  });
  return { status: child.status, output: child.stdout };
}

describe("describeReal", () => {
  it("skips what cannot be met and says why and what to do", () => {
    const { status, output } = run({ CI: undefined });
    expect(status).toBe(0);
    expect(output).toMatch(/Skipped:\n {2}1 × no GPU was found; remedy: a GPU\n\n1 passed, 0 failed\n$/);
  });

  it("fails under CI, where a skip would hide that the real thing was not met", () => {
    const { status, output } = run({ CI: "true" });
    expect(status).toBe(1);
    expect(output).toMatch(/\n1 passed, 1 failed\n$/);
  });
});
