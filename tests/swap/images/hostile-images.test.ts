// Damaged and hostile image files through the decoding that the router does for workers of 1.0 and 1.2, beside the worker's own Pillow.
//
//   MMR_TEST_HOSTILE_IMAGES=10000 npm test -- --project swap tests/swap/images/hostile-images.test.ts      the long form; 500 otherwise
//
//   where Pillow has pixels      the same digest, or a reason: never another digest
//   where Pillow raises          anything, since the worker refuses the request
//   always                       an answer within the limit, and memory that stays as it is
import { ImageProblem } from "@mm-router/protocol";
import { describeRelease } from "@mm-router/testkit/requires";
import { afterAll, expect, it } from "vitest";
import { DecodePool } from "../../../services/mm-router/src/multimodal/decode-pool.ts";
import { readWholeImageHeader } from "../../../services/mm-router/src/multimodal/image-format.ts";
import { type HostileFile, hostileFiles } from "../harness/hostile-files.ts";
import { type PillowAnswer, pillowAnswers } from "../harness/pillow.ts";

const count = Number(process.env.MMR_TEST_HOSTILE_IMAGES ?? 500);
const seed = 20_261;
const pixelsMax = 4_000_000;
/** Of a file, queue included; the slowest takes a tenth. */
const answerMs = 20_000;

type Verdict =
  | "same pixels"
  | "other pixels"
  | "refused with a reason"
  | "refused by both"
  | "taken by us alone"
  | "too large for both"
  | "large, taken";

await describeRelease(`${count} hostile image files`, "1.6.1", () => {
  const pool = new DecodePool({ pixelsMax, secondsMax: 10, pixelBytesMax: 64_000_000 });
  afterAll(() => pool.close());

  it("never get another digest than Pillow's, and leave nothing behind", async () => {
    const files = hostileFiles(count, seed);
    const theirs = await pillowAnswers(
      "1.6.1",
      files.map(({ bytes }) => bytes),
      pixelsMax,
    );
    const found = new Map<Verdict, string[]>();
    const firstHalf = await digestsOf(pool, files.slice(0, count / 2));
    const memoryBefore = process.memoryUsage().rss;
    const ours = [...firstHalf, ...(await digestsOf(pool, files.slice(count / 2)))];
    const grownMiB = (process.memoryUsage().rss - memoryBefore) / 2 ** 20;
    for (const [n, { name }] of files.entries()) {
      const verdict = verdictOf(ours[n]!, theirs[n]!);
      found.set(verdict, [...(found.get(verdict) ?? []), name]);
    }
    console.info(
      `hostile images: ${Array.from(found, ([verdict, names]) => `${names.length} ${verdict}`).join(", ")}; +${grownMiB.toFixed(0)} MiB`,
    );
    expect(found.get("other pixels") ?? []).toEqual([]);
    expect(found.get("large, taken") ?? []).toEqual([]);
    expect(found.get("same pixels")!.length).toBeGreaterThan(count / 10);
    expect(grownMiB).toBeLessThan(128); // what the allocator keeps of two budgets of pixels; it stands still after some 20 000 files
  });
});

type OurAnswer = { readonly digest: string } | { readonly refused: string };

/** Eight at a time, as requests come. */
async function digestsOf(pool: DecodePool, files: readonly HostileFile[]): Promise<OurAnswer[]> {
  const answers = new Array<OurAnswer>(files.length);
  const queue = files.entries();
  const lane = async (): Promise<void> => {
    for (const [n, { bytes }] of queue) answers[n] = await digestOf(pool, bytes);
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  return answers;
}

/** The first 8 bytes of S1, as hex. */
async function digestOf(pool: DecodePool, bytes: Buffer): Promise<OurAnswer> {
  const reading = readWholeImageHeader(bytes);
  if (reading.kind === "refused") return { refused: reading.reason };
  const own = Buffer.allocUnsafeSlow(bytes.length); // it is handed over to the decoding thread
  bytes.copy(own);
  try {
    const hash = await pool.hash(own, reading.header, "S1", AbortSignal.timeout(answerMs));
    return { digest: hash.toString(16).padStart(16, "0") };
  } catch (error) {
    if (error instanceof ImageProblem) return { refused: error.reason };
    throw error;
  }
}

function verdictOf(ours: OurAnswer, theirs: PillowAnswer): Verdict {
  if ("large" in theirs) return "refused" in ours ? "too large for both" : "large, taken";
  if ("refused" in theirs) return "refused" in ours ? "refused by both" : "taken by us alone";
  if ("refused" in ours) return "refused with a reason";
  return theirs.digest.startsWith(ours.digest) ? "same pixels" : "other pixels";
}
