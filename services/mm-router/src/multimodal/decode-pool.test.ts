import { readFileSync } from "node:fs";
import { golden, goldenPath } from "@mm-router/testkit/golden";
import { afterEach, describe, expect, it } from "vitest";
import { DecodePool, type PoolLimits } from "./decode-pool.ts";
import { type ImageHeader, readWholeImageHeader } from "./image-format.ts";
import { pixelDigest } from "./pixel-digest.ts";

const { cases } = golden<{ cases: { file: string; accepted: boolean; S1_u64: string; S3_u64: string }[] }>("multimodal/decode.json");
const accepted = cases.filter((testCase) => testCase.accepted);

const opened: DecodePool[] = [];
function poolOf(more: Partial<PoolLimits> = {}): DecodePool {
  const pool = new DecodePool({ pixelsMax: 1_000_000, secondsMax: 20, pixelBytesMax: 1_000_000, ...more });
  opened.push(pool);
  return pool;
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((pool) => pool.close()));
});

/** A fresh copy: the pool takes the bytes' memory away. */
function imageOf(file: string): { bytes: Buffer; header: ImageHeader } {
  const bytes = Buffer.from(new Uint8Array(readFileSync(goldenPath(`multimodal/files/${file}`))).buffer);
  const reading = readWholeImageHeader(bytes);
  if (reading.kind === "refused") throw new Error(`${file}: ${reading.reason}`);
  return { bytes, header: reading.header };
}

const signal = new AbortController().signal;

describe("DecodePool", () => {
  it("hashes all accepted files at once, each with its own result", async () => {
    const pool = poolOf();
    const hashes = await Promise.all(
      accepted.flatMap(({ file }) =>
        (["S1", "S3"] as const).map((scheme) => {
          const { bytes, header } = imageOf(file);
          return pool.hash(bytes, header, scheme, signal);
        }),
      ),
    );
    expect(hashes).toEqual(accepted.flatMap(({ S1_u64, S3_u64 }) => [BigInt(S1_u64), BigInt(S3_u64)]));
  });

  it("lets later images wait while the pixels of earlier ones fill the budget, and takes one that is larger than all of it", async () => {
    const pool = poolOf({ pixelBytesMax: 1 });
    const hash = (file: string) => {
      const { bytes, header } = imageOf(file);
      return pool.hash(bytes, header, "S1", signal);
    };
    const files = accepted.slice(0, 10);
    expect(await Promise.all(files.map(({ file }) => hash(file)))).toEqual(files.map(({ S1_u64 }) => BigInt(S1_u64)));
  });

  it("gives up waiting when the caller leaves, and serves the next", async () => {
    const pool = poolOf({ pixelBytesMax: 1 });
    const first = imageOf("png_rgb.png");
    const second = imageOf("png_rgb.png");
    const caller = new AbortController();
    const work = pool.hash(first.bytes, first.header, "S1", signal);
    const left = pool.hash(second.bytes, second.header, "S1", caller.signal);
    caller.abort(new Error("left"));
    await expect(left).rejects.toThrow("left");
    await work;
    const third = imageOf("jpg_444.jpg");
    expect(await pool.hash(third.bytes, third.header, "S1", signal)).toBe(
      BigInt(accepted.find(({ file }) => file === "jpg_444.jpg")?.S1_u64 ?? 0),
    );
  });

  it("refuses by the header what has more pixels than the limit", async () => {
    const { bytes, header } = imageOf("png_rgb.png");
    await expect(poolOf({ pixelsMax: 17 * 13 - 1 }).hash(bytes, header, "S1", signal)).rejects.toMatchObject({ reason: "too-many-pixels" });
  });

  it("says that a file is damaged, and goes on", async () => {
    const pool = poolOf();
    const damaged = imageOf("png_trunc.png");
    await expect(pool.hash(damaged.bytes, damaged.header, "S1", signal)).rejects.toMatchObject({ reason: "undecodable" });
    const { bytes, header } = imageOf("png_rgb.png");
    expect(await pool.hash(bytes, header, "S1", signal)).toBeTypeOf("bigint");
  });

  it("fails what is in work when its thread ends, and starts another for the next image", async () => {
    const pool = poolOf();
    const { bytes, header } = imageOf("png_rgb.png");
    const interrupted = pool.hash(bytes, header, "S1", signal);
    const failure = expect(interrupted).rejects.toMatchObject({ reason: "decoder-lost" });
    await Promise.resolve(); // the job is on its way
    await pool.close();
    await failure;
    const again = imageOf("png_rgb.png");
    expect(await pool.hash(again.bytes, again.header, "S1", signal)).toBe(
      BigInt(accepted.find(({ file }) => file === "png_rgb.png")?.S1_u64 ?? 0),
    );
  });
});

describe("pixelDigest", () => {
  it("of S3 starts from the layout that the engine's source gives", () => {
    // 1 × 1 pixel of red: header and digest from the worked example, computed in Python
    const red = { width: 1, height: 1, rgba: Uint8Array.of(255, 0, 0, 255) };
    expect(pixelDigest("S3", red).toString("hex").slice(0, 16)).toBe("36960461f7c6bc22");
    expect(pixelDigest("S1", red).toString("hex").slice(0, 16)).toBe("d13ae033ec7ac1cd");
  });

  it("of S1 cannot tell shapes of one colour apart, that of S3 can", () => {
    const rgba = new Uint8Array(16).fill(9);
    const shapes = [
      { width: 2, height: 2, rgba },
      { width: 4, height: 1, rgba },
      { width: 1, height: 4, rgba },
    ];
    const distinct = (scheme: "S1" | "S3") => new Set(shapes.map((shape) => pixelDigest(scheme, shape).toString("hex"))).size;
    expect([distinct("S1"), distinct("S3")]).toEqual([1, 3]);
  });
});
