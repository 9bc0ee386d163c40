import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const vitest = join(root, "node_modules/vitest/vitest.mjs");

describe("CountReporter", () => {
  it("lists skips by reason and ends with the count, a file that cannot load and a failing hook counted as failures", () => {
    const config = join(import.meta.dirname, "fixtures/vitest.config.ts");
    const run = spawnSync(process.execPath, [vitest, "run", "--config", config], {
      encoding: "utf8",
      env: { ...process.env, VITEST: undefined },
    });
    expect(run.status).toBe(1);
    expect(run.stdout.trimEnd().split("\n").slice(-5)).toEqual([
      "Skipped:",
      "  2 × no GPU; remedy: a GPU",
      "  1 × no reason given: tests that end by themselves > is skipped without a word",
      "",
      "1 passed, 3 failed",
    ]);
  });
});
