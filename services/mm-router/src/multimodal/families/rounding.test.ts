import { describe, expect, it } from "vitest";
import { floorDivide, roundHalfEven, truncateRounded7 } from "./rounding.ts";

// Expected values: CPython 3.11.
describe("rounding", () => {
  it("rounds halves to the even neighbour", () => {
    expect([0.5, 1.5, 2.5, 3.5, 4.5, 2.4999999, 2.5000001, 7].map(roundHalfEven)).toEqual([0, 2, 2, 4, 4, 2, 3, 7]);
  });

  it("rounds to seven digits before it truncates", () => {
    expect([26.999999999, 26.99999996, 26.99999994, 1 / 256].map(truncateRounded7)).toEqual([27, 27, 26, 0]);
  });

  it("divides floats by the exact quotient", () => {
    expect(floorDivide(135, 1.6666666666666667)).toBe(80);
    expect(Math.floor(135 / 1.6666666666666667)).toBe(81);
    expect([floorDivide(7, 2), floorDivide(6, 2), floorDivide(1, 0.1)]).toEqual([3, 3, 9]);
  });
});
