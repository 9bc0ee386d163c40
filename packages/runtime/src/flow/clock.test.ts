import { expect, it } from "vitest";
import { ManualClock, systemClock } from "./clock.ts";

it("the system clock never goes back", () => {
  const readings = Array.from({ length: 1000 }, () => systemClock.now());
  expect(readings).toEqual(readings.toSorted((a, b) => a - b));
});

it("the manual clock moves only when told", () => {
  const clock = new ManualClock(5);
  expect(clock.now()).toBe(5);
  clock.advance(10);
  expect(clock.now()).toBe(15);
});
