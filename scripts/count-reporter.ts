// Closes a run: what was skipped, why, and what to do about it; then "N passed, N failed" alone on the last line.
import type { Reporter, SerializedError, TestCase, TestModule } from "vitest/node";

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    let passed = 0;
    let failed = errors.length;
    const skipped = new Map<string, number>();
    for (const module of modules) {
      let own = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "passed") passed++;
        if (state === "failed") own++;
        if (state === "skipped" && !fellWithItsSuite(test)) count(skipped, reasonOf(test));
      }
      for (const suite of [module, ...module.children.allSuites()]) if (suite.errors().length > 0) own++; // a failing hook
      if (own === 0 && !module.ok()) own = 1; // a file that failed to load
      failed += own;
    }
    process.on("exit", () => process.stdout.write(`\n${skippedLines(skipped)}${passed} passed, ${failed} failed\n`));
  }
}

function reasonOf(test: TestCase): string {
  const result = test.result();
  const note = result.state === "skipped" ? result.note : undefined;
  return note ?? `no reason given: ${test.fullName}`;
}

/** A hook of a suite around it failed: that is counted as a failure, and its tests were not skipped by anyone. */
function fellWithItsSuite(test: TestCase): boolean {
  for (let suite = test.parent; ; suite = suite.parent) {
    if (suite.errors().length > 0) return true;
    if (suite.type === "module") return false;
  }
}

function count(reasons: Map<string, number>, reason: string): void {
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
}

function skippedLines(reasons: ReadonlyMap<string, number>): string {
  if (reasons.size === 0) return "";
  const lines = [...reasons].map(([reason, tests]) => `  ${tests} × ${reason}\n`);
  return `Skipped:\n${lines.join("")}\n`;
}
