import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { golden, goldenPath } from "../golden.ts";
import { solidPng } from "../picture.ts";
import { imageSize, imageTokens } from "./image-size.ts";

describe("imageSize", () => {
  it("reads what Pillow read from every PNG and JPEG that workers accept", () => {
    const { cases } = golden<{ cases: { file: string; format: string; accepted: boolean; width: number; height: number }[] }>(
      "multimodal/decode.json",
    );
    const files = new Set(readdirSync(goldenPath("multimodal/files")));
    const known = cases.filter(({ file, format, accepted }) => accepted && files.has(file) && ["PNG", "JPEG"].includes(format));
    const wrong = known.filter(({ file, width, height }) => {
      const size = imageSize(readFileSync(goldenPath(`multimodal/files/${file}`)));
      return size?.width !== width || size.height !== height;
    });
    expect(wrong.map(({ file }) => file)).toEqual([]);
    expect(known.length).toBeGreaterThan(20);
  });

  it("does not know anything else", () => {
    expect(imageSize(Buffer.from("GIF89a"))).toBeUndefined();
    expect(imageSize(Buffer.alloc(0))).toBeUndefined();
    expect(imageSize(solidPng(3, 5, 0))).toEqual({ width: 3, height: 5 });
  });
});

describe("imageTokens", () => {
  it("counts as the real processor of Qwen2-VL does", () => {
    const { families } = golden<{ families: TokenFamily[] }>("multimodal/image_tokens.json");
    const wrong: string[] = [];
    let compared = 0;
    for (const { model_type, params, cases } of families.filter((family) => /^qwen2(_5)?_vl$/.test(family.model_type))) {
      const { patch_size, merge_size, min_pixels, max_pixels } = params;
      const rule = { tokenSide: patch_size * merge_size, pixelsMin: min_pixels, pixelsMax: max_pixels };
      for (const { w, h, total, error } of cases) {
        if (error !== undefined) continue;
        compared++;
        if (imageTokens({ width: w, height: h }, rule) !== total) wrong.push(`${model_type} ${w}×${h}: ${total}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(20);
  });
});

interface TokenFamily {
  readonly model_type: string;
  readonly params: Readonly<Record<"patch_size" | "merge_size" | "min_pixels" | "max_pixels", number>>;
  readonly cases: readonly TokenCase[];
}

interface TokenCase {
  readonly w: number;
  readonly h: number;
  readonly total?: number;
  readonly error?: string;
}
