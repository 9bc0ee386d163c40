// The oracle for pixels: Pillow and BLAKE3 in the environment of a real worker.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ensureRelease, type Release } from "@mm-router/testkit";

export type PillowAnswer =
  | { readonly refused: string }
  | { readonly large: readonly [width: number, height: number] }
  | { readonly size: readonly [width: number, height: number]; readonly digest: string };

/** What a worker of this release makes of each file; files of more pixels are opened and not decoded. */
export async function pillowAnswers(release: Release, files: readonly Buffer[], pixelsMax: number): Promise<PillowAnswer[]> {
  const python = await ensureRelease(release, () => {});
  const script = join(import.meta.dirname, "../python/picture_digests.py");
  const child = spawn(python, [script, `${pixelsMax}`], { stdio: ["pipe", "pipe", "inherit"] });
  const answered = text(child.stdout);
  for (const file of files) {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(file.length);
    if (!child.stdin.write(Buffer.concat([head, file]))) await new Promise((resolve) => child.stdin.once("drain", resolve));
  }
  child.stdin.end();
  const lines = (await answered).trimEnd().split("\n");
  if (lines.length !== files.length) throw new Error(`Pillow answered ${lines.length} of ${files.length} files`);
  return lines.map((line) => JSON.parse(line) as PillowAnswer);
}
