import { defineConfig } from "vitest/config";

// `npm run test:engine`: a real engine, 6.5 GB of it, which `npm test` neither installs nor needs.
export default defineConfig({
  test: {
    reporters: ["default", "./scripts/count-reporter.ts"],
    include: ["tests/engine/**/*.test.ts"],
    setupFiles: ["./packages/testkit/src/vitest-setup.ts"],
    testTimeout: 180_000,
    hookTimeout: 900_000,
    maxWorkers: 1,
  },
});
