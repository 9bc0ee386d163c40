// `npm run verify`: everything but the tests that start processes. Types, lint, format, unit.
import { ensureInstalled, node, run } from "./bootstrap.mjs";

ensureInstalled();
process.exit(run(node, ["node_modules/vitest/vitest.mjs", "run", "--project", "unit"]));
