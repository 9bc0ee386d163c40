// The last lines of every process a test used, printed when the test fails.
//
// A failure in a test of many processes is explained by their logs, and `await using` has ended them by the time the
// failure is known. So whoever starts a process keeps it here; vitest-setup.ts prints after a failed test or hook.
import type { Child } from "@mm-router/cli/infra";

const keptMax = 24; // a cell has a dozen processes; the ones before belong to tests that passed
const linesMax = 25;

const kept: Child[] = [];

/** Remembers the process for the report; returns what it was given. */
export function keepForReport<T extends { readonly child: Child }>(owner: T): T {
  kept.push(owner.child);
  if (kept.length > keptMax) kept.shift();
  return owner;
}

/** What the processes said last, oldest process first; empty when none was started. */
export function failureReport(): string {
  return kept
    .map((child) => `--- ${child.name} (pid ${child.pid}): its last lines ---\n${child.lastLines().slice(-linesMax).join("\n")}`)
    .join("\n");
}
