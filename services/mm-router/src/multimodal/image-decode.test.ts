import { readFileSync } from "node:fs";
import { contentDigest, dataUrlPieces, mmHashOf, padValue } from "@mm-router/kv";
import { ImageProblem } from "@mm-router/protocol";
import { golden, goldenPath } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { decodeImage } from "./image-decode.ts";
import { pillowPixelsMax } from "./image-format.ts";
import { int32sOf, pixelDigest } from "./pixel-digest.ts";

interface DecodeCase {
  file: string;
  accepted: boolean;
  mode: string;
  width: number;
  height: number;
  alpha0_pixels: number;
  rgb_blake3: string;
  S1: string;
  S2_uuid: string;
  S3: string;
  S3_uuid: string;
  S1_u64: string;
  S3_u64: string;
  S1_int32x8: number[];
  S3_int32x8: number[];
  S1_pad: number;
  S3_pad: number;
}

const { cases, uuid } = golden<{ cases: DecodeCase[]; uuid: string }>("multimodal/decode.json");
const limits = { pixelsMax: pillowPixelsMax, secondsMax: 20 };

function fileOf({ file }: Pick<DecodeCase, "file">): Buffer {
  return readFileSync(goldenPath(`multimodal/files/${file}`));
}

async function described(testCase: DecodeCase): Promise<Partial<DecodeCase>> {
  const { file } = testCase;
  const outcome = await decodeImage(fileOf(testCase), limits);
  if (outcome.kind === "refused") return { file, accepted: false };
  const { header, image } = outcome;
  const [s1, s3] = [pixelDigest("S1", image), pixelDigest("S3", image)];
  return {
    file,
    accepted: true,
    mode: header.mode,
    width: image.width,
    height: image.height,
    alpha0_pixels: image.rgba.filter((byte, at) => at % 4 === 3 && byte === 0).length,
    rgb_blake3: rgbDigest(image.rgba),
    S1: s1.toString("hex"),
    S2_uuid: pixelDigest("S2", image, uuid).toString("hex"),
    S3: s3.toString("hex"),
    S3_uuid: pixelDigest("S3", image, uuid).toString("hex"),
    S1_u64: mmHashOf(s1).toString(),
    S3_u64: mmHashOf(s3).toString(),
    S1_int32x8: int32sOf(s1),
    S3_int32x8: int32sOf(s3),
    S1_pad: padValue(mmHashOf(s1)),
    S3_pad: padValue(mmHashOf(s3)),
  };
}

function rgbDigest(rgba: Uint8Array): string {
  return contentDigest(rgba.filter((_, at) => at % 4 !== 3)).toString("hex");
}

describe("decodeImage", () => {
  it("accepts what Pillow accepts, with the same size, mode, pixels and digests, and refuses what Pillow refuses", async () => {
    expect(cases).toHaveLength(131);
    for (const testCase of cases) {
      const actual = await described(testCase);
      const wanted = Object.fromEntries(Object.keys(actual).map((name) => [name, testCase[name as keyof DecodeCase]]));
      expect(actual).toEqual(wanted);
    }
  });

  it("takes the colour key of a last chunk whose checksum was cut off, as Pillow does", async () => {
    const name = "png_two_trns.png";
    const whole = fileOf({ file: name });
    const cut = whole.subarray(0, whole.lastIndexOf("tRNS") + 4 + 6);
    const outcome = await decodeImage(cut, limits);
    if (outcome.kind !== "pixels") throw new Error(outcome.reason);
    expect(pixelDigest("S1", outcome.image).toString("hex")).toBe(cases.find(({ file }) => file === name)!.S1);
  });

  it("names S1 and S2 of an image without uuid alike", async () => {
    const outcome = await decodeImage(fileOf({ file: "png_rgb.png" }), limits);
    if (outcome.kind !== "pixels") throw new Error(outcome.reason);
    expect(pixelDigest("S2", outcome.image)).toEqual(pixelDigest("S1", outcome.image));
  });

  it("refuses more pixels than the limit by the header alone", async () => {
    expect(await decodeImage(fileOf({ file: "bomb_90mp_warn.png" }), { pixelsMax: 40_000_000, secondsMax: 2 })).toEqual({
      kind: "refused",
      reason: "too-many-pixels",
    });
  });
});

interface DataUrlCase {
  readonly name: string;
  readonly url: string;
  readonly expect: { strict: boolean; status: number | null };
  readonly rgb_blake3?: string;
  readonly w?: number;
  readonly h?: number;
}

describe("data: URLs", () => {
  it("show the pixels that workers ≥ 1.2 see, or are refused as there", async () => {
    const { cases: urls } = golden<{ cases: DataUrlCase[] }>("multimodal/data_urls.json");
    expect(urls.length).toBeGreaterThanOrEqual(46);
    for (const { name, url, expect: wanted, rgb_blake3, w, h } of urls) {
      const expected = wanted.strict ? { status: null, w, h, rgb_blake3 } : { status: wanted.status };
      expect({ name, is: await verdict(url) }).toEqual({ name, is: expected });
    }
  });
});

/** The HTTP class a worker answers with, or the pixels it sees. */
async function verdict(url: string): Promise<unknown> {
  const bytes = bytesOf(url);
  if (bytes === undefined) return { status: 400 };
  const outcome = await decodeImage(bytes, { pixelsMax: 1_000_000, secondsMax: 20 });
  if (outcome.kind === "refused") return { status: 415 };
  const { width, height, rgba } = outcome.image;
  return { status: null, w: width, h: height, rgb_blake3: rgbDigest(rgba) };
}

function bytesOf(url: string): Buffer | undefined {
  try {
    return Buffer.concat([...dataUrlPieces(url, 16 * 1024 * 1024)]);
  } catch (error) {
    if (error instanceof ImageProblem) return undefined;
    throw error;
  }
}
