import type { InstanceId } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { type InstanceMode, instanceChoice } from "./instance-choice.ts";

const ids = [1n, 2n, 3n] as InstanceId[];

function chosen(mode: InstanceMode, times: number, { dice = [0], running = {} as Record<string, number> } = {}): bigint[] {
  const rolls = [...dice];
  const choice = instanceChoice(mode, { random: () => rolls.shift() ?? 0, runningOf: (id) => running[String(id)] ?? 0 });
  return Array.from({ length: times }, () => choice.choose(ids)!);
}

describe("the choice of an instance", () => {
  it("goes round, by id", () => {
    expect(chosen("round-robin", 4)).toEqual([1n, 2n, 3n, 1n]);
  });

  it("takes the less loaded of two drawn ones", () => {
    expect(chosen("power-of-two", 1, { dice: [0, 0.99], running: { 1: 5, 3: 4 } })).toEqual([3n]);
    expect(chosen("power-of-two", 1, { dice: [0.5, 0], running: { 1: 5, 2: 4, 3: 0 } })).toEqual([2n]);
  });

  it("takes the least loaded, and of several one after the other", () => {
    expect(chosen("least-loaded", 3, { running: { 2: 1 } })).toEqual([1n, 3n, 1n]);
  });

  it("is the request's own in direct mode", () => {
    expect(() => chosen("direct", 1)).toThrow("must name its worker");
  });

  it.each(["round-robin", "random", "power-of-two", "least-loaded"] as const)("is nobody's without candidates: %s", (mode) => {
    expect(instanceChoice(mode, { random: () => 0, runningOf: () => 0 }).choose([])).toBeUndefined();
  });
});
