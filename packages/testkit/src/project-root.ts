// The checkout: everything that tests install or start lies in its `.cache`.
import { join } from "node:path";

export const projectRoot = join(import.meta.dirname, "../../..");

/** What `./mmr` runs; made anew from the sources before the tests of a project that starts processes. */
export const commandLine = join(projectRoot, "dist/main.mjs");
