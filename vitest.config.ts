import { defineConfig } from "vitest/config";

const unit = ["packages/*/src/**/*.test.ts", "services/*/src/**/*.test.ts", "tests/*.test.ts", "scripts/*.test.ts"];
const integration = ["packages/*/test/**/*.test.ts", "services/*/test/**/*.test.ts"];

/** Of the projects that start processes: logs of a failed test, servers and wheels installed before the first test. */
const withProcesses = {
  setupFiles: ["./packages/testkit/src/vitest-setup.ts"],
  globalSetup: ["./packages/testkit/src/vitest-global-setup.ts"],
};

// One project after the other, the quick ones first; within the last, two stacks at once are what 2 cores carry.
export default defineConfig({
  test: {
    reporters: ["default", "./scripts/count-reporter.ts"],
    projects: [
      { test: { name: "unit", include: unit, testTimeout: 60_000, sequence: { groupOrder: 0 } } },
      {
        test: {
          name: "integration",
          include: integration,
          ...withProcesses,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "e2e",
          include: ["tests/e2e/**/*.test.ts"],
          ...withProcesses,
          testTimeout: 120_000,
          hookTimeout: 240_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "swap",
          include: ["tests/swap/**/*.test.ts"],
          ...withProcesses,
          provide: { meetsDynamo: true },
          testTimeout: 180_000,
          hookTimeout: 900_000,
          maxWorkers: 2,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
