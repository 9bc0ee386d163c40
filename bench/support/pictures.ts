// Pictures of several sizes and what decoding and hashing them costs, by ours and by a worker's libraries (pictures.py).
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ensureRelease } from "@mm-router/testkit";
import { decodeImage } from "../../services/mm-router/src/multimodal/image-decode.ts";
import { pixelDigest } from "../../services/mm-router/src/multimodal/pixel-digest.ts";

export interface PictureFile {
  readonly name: string;
  readonly bytes: Buffer;
}

export interface Picture extends PictureFile {
  /** As many as take a second or so. */
  readonly runs: number;
  /** CPU ms of decoding to RGBA and BLAKE3, alone in a process. */
  readonly oursMs: number;
  readonly pillowMs: number;
}

const runsOf: Readonly<Record<string, number>> = { "256.jpg": 400, "512.jpg": 200, "1024.jpg": 80, "1024.png": 40, "4k.jpg": 16 };

/** The files alone. */
export function pictureFiles(): Promise<PictureFile[]> {
  return withFiles(async (files) => files.map(({ name, bytes }) => ({ name, bytes })));
}

/** The files, and what each costs. */
export function pictures(): Promise<Picture[]> {
  return withFiles(async (files, python) => {
    const pillow = JSON.parse(await python("cost", ...files.map(({ path }) => path))) as number[];
    const made: Picture[] = [];
    for (const [n, { name, bytes }] of files.entries()) {
      const runs = runsOf[name]!;
      made.push({ name, bytes, runs, oursMs: await costOf(bytes, runs), pillowMs: pillow[n]! });
    }
    return made;
  });
}

type Python = (...args: string[]) => Promise<string>;

async function withFiles<T>(use: (files: readonly (PictureFile & { readonly path: string })[], python: Python) => Promise<T>): Promise<T> {
  const interpreter = await ensureRelease("1.6.1", () => {});
  const folder = mkdtempSync(join(tmpdir(), "bench-images-"));
  const python: Python = async (...args) =>
    (await promisify(execFile)(interpreter, [join(import.meta.dirname, "pictures.py"), ...args])).stdout;
  await python("make", folder);
  const paths = Object.keys(runsOf).map((name) => ({ name, path: join(folder, name) }));
  try {
    return await use(
      paths.map(({ name, path }) => ({ name, path, bytes: readFileSync(path) })),
      python,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
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
