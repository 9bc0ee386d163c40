// A real browser: the machine's Chromium, installed by the system's package manager where that is allowed.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { Missing } from "./missing.ts";

/** As Debian, Ubuntu and the browser's own packages name it. */
const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const remedy = "apt-get install --no-install-recommends chromium";
/** A download of about 100 MB, and what else waits for the package manager's lock. */
const installTimeoutMs = 300_000;

/** Path of its executable. @throws Missing when there is none and none can be installed */
export async function ensureChromium(say: (line: string) => void): Promise<string> {
  const found = places.find(existsSync);
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0) throw new Missing("Chromium is not here, and only root may install it", remedy);
  say("installing Chromium by apt-get");
  try {
    await apt("update", "-qq");
    await apt("install", "-y", "--no-install-recommends", "chromium");
  } catch (error) {
    throw new Missing("Chromium cannot be installed", remedy, error);
  }
  const installed = places.find(existsSync);
  if (installed === undefined) throw new Missing("Chromium was installed and is not where it is looked for", remedy);
  return installed;
}

async function apt(...args: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await promisify(execFile)("apt-get", ["-o", "DPkg::Lock::Timeout=120", ...args], { env, timeout: installTimeoutMs });
}
