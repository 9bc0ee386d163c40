// What ./mmr runs when Node 24 or the packages are missing: quiet, but for one line.
import { ensureInstalled } from "./bootstrap.mjs";

ensureInstalled({ quiet: true });
