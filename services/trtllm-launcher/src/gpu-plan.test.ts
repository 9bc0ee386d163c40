import { AppError } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { planGpus } from "./gpu-plan.ts";

describe("planGpus", () => {
  it("gives each worker its own group, in the order of the ids", () => {
    const plan = planGpus({ gpuIds: ["3", "1", "0", "2"], workers: 2, groupSize: 2, shared: false });
    expect(plan).toEqual([{ gpuIds: ["3", "1"] }, { gpuIds: ["0", "2"] }]);
  });

  it("puts all workers on the first group and splits its memory when sharing is asked for", () => {
    expect(planGpus({ gpuIds: ["7"], workers: 2, groupSize: 1, shared: true })).toEqual([
      { gpuIds: ["7"], memoryFraction: 0.45 },
      { gpuIds: ["7"], memoryFraction: 0.45 },
    ]);
  });

  it("leaves the memory to the engine's default when a shared GPU has one worker", () => {
    expect(planGpus({ gpuIds: ["0"], workers: 1, groupSize: 1, shared: true })).toEqual([{ gpuIds: ["0"] }]);
  });

  it("never hands out more than one worker's memory in all", () => {
    for (let workers = 2; workers <= 16; workers++) {
      const plan = planGpus({ gpuIds: ["0"], workers, groupSize: 1, shared: true });
      const thousandths = plan.reduce((sum, { memoryFraction = 0 }) => sum + Math.round(memoryFraction * 1000), 0);
      expect(thousandths).toBeLessThanOrEqual(900);
    }
  });

  it("refuses too few GPUs with a sentence that names the ways out", () => {
    const plan = () => planGpus({ gpuIds: ["0"], workers: 2, groupSize: 2, shared: false });
    expect(plan).toThrow(AppError);
    expect(plan).toThrow(/2 workers of 2 GPUs each need 4 GPUs and 1 are there \(0\).*GPU_IDS/);
  });
});
