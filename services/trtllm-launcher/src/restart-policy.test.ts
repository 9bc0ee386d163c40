import { describe, expect, it } from "vitest";
import { RestartPolicy } from "./restart-policy.ts";

const failure = { code: 1, lines: [], readyMs: 0 };
const minuteMs = 60_000;

describe("RestartPolicy", () => {
  it("waits longer after each failure, up to half a minute", () => {
    const policy = new RestartPolicy();
    const delays = Array.from({ length: 8 }, (_, at) => policy.decide(failure, at * 5 * minuteMs));
    expect(delays.map((decision) => decision.kind === "restart" && decision.delayMs)).toEqual([
      1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000,
    ]);
  });

  it("begins again with one second after a minute of being ready", () => {
    const policy = new RestartPolicy();
    policy.decide(failure, 0);
    policy.decide(failure, 1000);
    expect(policy.decide({ ...failure, readyMs: minuteMs }, 2 * minuteMs)).toEqual({ kind: "restart", delayMs: 1000 });
  });

  it("gives up at the fifth failure within ten minutes and not at five in eleven", () => {
    const quick = new RestartPolicy();
    const kinds = Array.from({ length: 5 }, (_, at) => quick.decide(failure, at * minuteMs).kind);
    expect(kinds).toEqual(["restart", "restart", "restart", "restart", "give-up"]);
    const slow = new RestartPolicy();
    const slowKinds = Array.from({ length: 6 }, (_, at) => slow.decide(failure, at * 2.6 * minuteMs).kind);
    expect(slowKinds).not.toContain("give-up");
  });

  it("counts an exit with code 0 that nobody asked for as a failure", () => {
    expect(new RestartPolicy().decide({ ...failure, code: 0 }, 0).kind).toBe("restart");
  });

  it("never restarts what a restart cannot mend", () => {
    expect(new RestartPolicy().decide({ ...failure, code: 2 }, 0).kind).toBe("give-up");
    expect(new RestartPolicy().decide({ ...failure, lines: ["RuntimeError: No GPU devices found on the node"] }, 0).kind).toBe("give-up");
  });
});
