// `npm test`: installs what is missing, then runs vitest under Node 24. Arguments go to vitest.
import { ensureInstalled, node, run } from "./bootstrap.mjs";

ensureInstalled();
process.exit(run(node, ["node_modules/vitest/vitest.mjs", "run", ...process.argv.slice(2)]));
