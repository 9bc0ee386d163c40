// Pictures of several sizes and what decoding and hashing them costs, by ours and by a worker's libraries (pictures.py).
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ensureRelease } from "@mm-router/testkit";
import { decodeImage } from "../../services/mm-router/src/multimodal/image-decode.ts";
import { pixelDigest } from "../../services/mm-router/src/multimodal/mm-hash.ts";

export interface Picture {
  readonly name: string;
  readonly bytes: Buffer;
  /** As many as take a second or so. */
  readonly runs: number;
  /** CPU ms of decoding to RGBA and BLAKE3, alone in a process. */
  readonly oursMs: number;
  readonly pillowMs: number;
}

const runsOf: Readonly<Record<string, number>> = { "256.jpg": 400, "512.jpg": 200, "1024.jpg": 80, "1024.png": 40, "4k.jpg": 16 };

export async function pictures(): Promise<Picture[]> {
  const python = await ensureRelease("1.6.1", () => {});
  const folder = mkdtempSync(join(tmpdir(), "bench-images-"));
  const run = (...args: string[]) => promisify(execFile)(python, [join(import.meta.dirname, "pictures.py"), ...args]);
  await run("make", folder);
  const files = Object.entries(runsOf).map(([name, runs]) => ({
    name,
    runs,
    path: join(folder, name),
    bytes: readFileSync(join(folder, name)),
  }));
  const { stdout } = await run("cost", ...files.map(({ path }) => path));
  const pillow = JSON.parse(stdout) as number[];
  await rm(folder, { recursive: true });
  const made: Picture[] = [];
  for (const [n, { name, bytes, runs }] of files.entries())
    made.push({ name, bytes, runs, oursMs: await costOf(bytes, runs), pillowMs: pillow[n]! });
  return made;
}

async function costOf(bytes: Buffer, runs: number): Promise<number> {
  const before = process.cpuUsage();
  for (let run = 0; run < runs; run++) {
    const outcome = await decodeImage(bytes, { pixelsMax: 40_000_000, secondsMax: 10 });
    if (outcome.kind === "pixels") pixelDigest("S1", outcome.image);
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / runs;
}
