import { defineConfig } from "vitest/config";

const unit = ["packages/*/src/**/*.test.ts", "services/*/src/**/*.test.ts", "tests/*.test.ts", "scripts/*.test.ts"];
const integration = ["packages/*/test/**/*.test.ts", "services/*/test/**/*.test.ts"];

const setupFiles = ["./packages/testkit/src/vitest-setup.ts"];

export default defineConfig({
  test: {
    reporters: ["default", "./scripts/count-reporter.ts"],
    projects: [
      { test: { name: "unit", include: unit, testTimeout: 20_000 } },
      { test: { name: "integration", include: integration, setupFiles, testTimeout: 60_000, hookTimeout: 120_000, maxWorkers: 2 } },
      { test: { name: "e2e", include: ["tests/e2e/**/*.test.ts"], setupFiles, testTimeout: 120_000, hookTimeout: 240_000, maxWorkers: 1 } },
      {
        test: { name: "swap", include: ["tests/swap/**/*.test.ts"], setupFiles, testTimeout: 180_000, hookTimeout: 900_000, maxWorkers: 2 },
      },
    ],
  },
});
