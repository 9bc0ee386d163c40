// The checkout: everything that tests install or start lies in its `.cache`.
import { join } from "node:path";

export const projectRoot = join(import.meta.dirname, "../../..");
