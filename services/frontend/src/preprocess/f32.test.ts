import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { f32Display, f32Json } from "./f32.ts";

const f32 = fc.float({ noNaN: true, noDefaultInfinity: true });

describe("f32 texts", () => {
  it.each([
    [0.1, "0.1", "0.1"],
    [0.699999988079071, "0.7", "0.7"],
    [2.5, "2.5", "2.5"],
    [-1, "-1", "-1.0"],
    [0, "0", "0.0"],
    [16777216, "16777216", "16777216.0"],
    [1e-7, "0.0000001", "1e-7"],
  ])("%d reads as Rust and serde write it", (value, display, json) => {
    expect(f32Display(value)).toBe(display);
    expect(f32Json(value)).toBe(json);
  });

  it("are read back as the same f32", () => {
    fc.assert(
      fc.property(f32, (value) => {
        expect(Math.fround(Number(f32Json(value)))).toBe(value === 0 ? 0 : value);
      }),
    );
  });

  it("in JSON always look like floats", () => {
    fc.assert(fc.property(f32, (value) => /[.e]/.test(f32Json(value))));
  });
});
