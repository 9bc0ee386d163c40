// The folder in which huggingface_hub keeps downloaded models; ours are kept so that it finds them, and the other way round.
//
//   models--Qwen--Qwen2-VL-2B-Instruct/
//     refs/main                      the commit that `main` meant when it was downloaded
//     snapshots/<commit>/config.json ──▶ ../../blobs/<etag>
//     blobs/<etag>                   a file's bytes
//
// Source: huggingface_hub, file_download.py, "How is the cache system working".
// I1  A file appears under its name only when it is whole: written beside, then renamed.
// I2  refs/main is written last, so a download that was killed is not taken for a model.
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

/** One model's folder in the cache. */
export class HubCacheEntry {
  readonly #root: string;

  /** @param id `owner/name`, or `name` alone */
  constructor(cacheFolder: string, id: string) {
    this.#root = join(cacheFolder, `models--${id.replaceAll("/", "--")}`);
  }

  /** The folder of the snapshot that `main` means; undefined when `main` was never downloaded. It need not exist. */
  async snapshot(): Promise<string | undefined> {
    const commit = await readFile(join(this.#root, "refs", "main"), "utf8").catch(() => undefined); // missing: not downloaded
    return commit === undefined ? undefined : this.snapshotOf(commit.trim());
  }

  snapshotOf(commit: string): string {
    return join(this.#root, "snapshots", commit);
  }

  /** @param etag names the bytes; equal files of two commits are stored once */
  async add(commit: string, name: string, etag: string, bytes: Uint8Array): Promise<void> {
    const blob = join(this.#root, "blobs", etag);
    await writeWhole(blob, bytes);
    const link = join(this.snapshotOf(commit), name);
    await mkdir(dirname(link), { recursive: true });
    await placeWhole(link, (temporary) => symlink(relative(dirname(link), blob), temporary));
  }

  /** From now on `main` means this commit. */
  async settle(commit: string): Promise<void> {
    await writeWhole(join(this.#root, "refs", "main"), Buffer.from(commit));
  }
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await placeWhole(path, (temporary) => writeFile(temporary, bytes));
}

async function placeWhole(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomUUID()}.incomplete`;
  try {
    await write(temporary);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
