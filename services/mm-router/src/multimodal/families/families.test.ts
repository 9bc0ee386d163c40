import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ImageFamily, ImageLayout } from "./family.ts";
import { familyOf, knownModelTypes } from "./index.ts";
import { tokenPattern } from "./token-pattern.ts";

interface GoldenFamily {
  family: string;
  model_type: string;
  config?: Record<string, unknown>;
  processor: Record<string, unknown>;
  placeholder: string;
  cases: { w: number; h: number; total?: number; pattern?: unknown; error?: string }[];
}

const families = golden<{ families: GoldenFamily[] }>("multimodal/image_tokens.json").families;

function build({ model_type, config, processor }: Pick<GoldenFamily, "model_type" | "config" | "processor">): ImageFamily {
  const family = familyOf({ modelType: model_type, config: config ?? {}, processor });
  if (family === undefined) throw new Error(`no family for ${model_type}`);
  return family;
}

function summary(layout: ImageLayout): unknown {
  return layout.kind === "refused" ? "refused" : { total: layout.total, pattern: tokenPattern(layout.runs) };
}

describe("families", () => {
  it.each(families)("gives $family the counts and patterns of the real processor, and refuses what it refuses", (setting) => {
    const family = build(setting);
    expect(family.placeholder).toBe(setting.placeholder);
    expect(setting.cases.length).toBeGreaterThanOrEqual(64);
    for (const { w, h, total, pattern, error } of setting.cases) {
      const expected = error === undefined ? { total, pattern } : "refused";
      expect({ w, h, is: summary(family.layout({ width: w, height: h })) }).toEqual({ w, h, is: expected });
    }
  });

  it("says nothing about a model type without vectors", () => {
    expect(familyOf({ modelType: "phi4mm", config: {}, processor: {} })).toBeUndefined();
    expect(familyOf({ modelType: "Qwen2_VL", config: {}, processor: {} })).toBeUndefined();
  });

  it("has vectors for every model type of the registry, sisters of one class apart", () => {
    const sisters = new Set(["qwen3_vl_moe", "glm4v_moe"]);
    const withVectors = new Set(families.map((family) => family.model_type));
    expect(knownModelTypes.filter((type) => !withVectors.has(type) && !sisters.has(type))).toEqual([]);
  });

  it("names the field of a processor file that has the wrong type", () => {
    expect(() => build({ model_type: "qwen2_vl", processor: { patch_size: "14" } })).toThrow(/patch_size/);
  });

  it("takes min_pixels and max_pixels before size, and size before the class default", () => {
    const size = { shortest_edge: 3_136, longest_edge: 12_845_056 };
    const tokens = (processor: Record<string, unknown>) =>
      summary(build({ model_type: "qwen2_vl", processor }).layout({ width: 1024, height: 1024 }));
    expect(tokens({ size })).toMatchObject({ total: 1369 });
    expect(tokens({})).toMatchObject({ total: 1225 });
    expect(tokens({ size, max_pixels: 1_003_520 })).toMatchObject({ total: 1225 });
    expect(tokens({ size: null, min_pixels: null })).toMatchObject({ total: 1225 });
  });

  it("tells pixtral from LLaVA by the processor class as well", () => {
    const processor = { processor_class: "PixtralProcessor", patch_size: 16 };
    expect(build({ model_type: "llava", processor }).placeholder).toBe("[IMG]");
  });

  it("never exceeds the pixel budget of a Qwen model by more than its rounding, and never gives less than one token", () => {
    const family = build({ model_type: "qwen2_5_vl", processor: { min_pixels: 3_136, max_pixels: 12_845_056 } });
    const side = fc.integer({ min: 1, max: 20_000 });
    fc.assert(
      fc.property(side, side, (width, height) => {
        const layout = family.layout({ width, height });
        fc.pre(layout.kind === "tokens");
        expect(layout.total).toBeGreaterThanOrEqual(1);
        expect(layout.total * 28 * 28).toBeLessThanOrEqual(12_845_056);
      }),
    );
  });

  it("writes a pattern that expands to the runs it came from", () => {
    const run = fc.record({ token: fc.constantFrom("a", "b", "c"), count: fc.integer({ min: 1, max: 3 }) });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 40 }), (runs) => {
        const expanded = tokenPattern(runs).flatMap(([repeat, group]) => Array.from({ length: repeat }, () => group).flat());
        expect(expanded).toEqual(runs.map(({ token, count }) => [token, count]));
      }),
    );
  });
});
