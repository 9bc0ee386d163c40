import { expect, it } from "vitest";
import { nearestName } from "./nearest-name.ts";

const commands = ["frontend", "mm-router", "indexer", "launcher", "hash", "image", "explain"];

it("finds the name with the fewest slips", () => {
  expect(nearestName("fronted", commands)).toBe("frontend");
  expect(nearestName("mmrouter", commands)).toBe("mm-router");
  expect(nearestName("indxer", commands)).toBe("indexer");
});

it("suggests nothing that is too far away", () => {
  expect(nearestName("doctor", commands)).toBeUndefined();
  expect(nearestName("x", commands)).toBeUndefined();
  expect(nearestName("anything", [])).toBeUndefined();
});
