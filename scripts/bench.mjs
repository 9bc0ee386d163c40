// `npm run bench -- NAME`: runs bench/NAME.ts under Node 24; without a name lists what there is.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { bundle, ensureInstalled, node, root, run } from "./bootstrap.mjs";

ensureInstalled();
const names = readdirSync(join(root, "bench"))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3));
const [name, ...rest] = process.argv.slice(2);
if (!names.includes(name)) {
  console.error(`npm run bench -- NAME, one of: ${names.join(", ")}`);
  process.exit(2);
}
bundle(); // ./mmr would start the sources otherwise, once one was changed
process.exit(run(node, [join(root, "bench", `${name}.ts`), ...rest]));
