import { stringifyJson } from "@mm-router/protocol";
import { clusterView } from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { diagnose, predictionFindings } from "./diagnosis.ts";
import { judgeNats } from "./nats-check.ts";

/** The records that a real stack of one release left in etcd. */
function realKeys(release: string): Map<string, string> {
  const { discovery } = golden(`worker/mm-${release}.json`) as { discovery: unknown };
  return keysOf(discovery);
}

function keysOf(discovery: unknown): Map<string, string> {
  const keys = new Map<string, string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [name, member] of Object.entries(value)) {
      if (name.startsWith("v1/")) keys.set(name, typeof member === "string" ? member : stringifyJson(member));
      else visit(member);
    }
  };
  visit(discovery);
  return keys;
}

const sentences = (keys: Map<string, string>, namespace: string): string =>
  diagnose(clusterView(keys), { namespace, routerComponent: "mm_router", workerComponent: "trtllm" })
    .map(({ level, sentence }) => `${level}: ${sentence}`)
    .join("\n");

describe("diagnose", () => {
  it("says what is missing in an empty cluster, with what to do", () => {
    const findings = diagnose(clusterView(new Map()), { namespace: "default", routerComponent: "mm_router", workerComponent: "trtllm" });
    expect(findings.map(({ level }) => level)).toEqual(["error", "note", "error"]);
    expect(findings.every(({ remedy }) => remedy !== undefined)).toBe(true);
  });

  it("names a record that cannot be read and judges the rest", () => {
    const keys = new Map([["v1/instances/ns/comp/generate/1f", "{broken"]]);
    expect(sentences(keys, "ns")).toContain("v1/instances/ns/comp/generate/1f cannot be read");
  });

  it.each(["0.9.1", "1.0.2", "1.2.1", "1.4.2", "1.5.1", "1.6.1"])("reads every record of a real %s stack", (release) => {
    const keys = realKeys(release);
    expect(keys.size).toBeGreaterThan(1);
    expect(clusterView(keys).unreadable).toEqual([]);
    expect(clusterView(keys).instances.length).toBeGreaterThan(0);
  });
});

describe("predictionFindings", () => {
  const tally = (exact: number, different: number, unseen: number) => ({ workerId: "7", imageDialect: "pad", exact, different, unseen });

  it("is content with what was published as predicted, and silent where nothing was compared", () => {
    expect(predictionFindings([tally(3, 0, 9)])).toEqual([
      { level: "ok", sentence: "worker 7 (pad): 3 prompts with images published as predicted" },
    ]);
    expect(predictionFindings([tally(0, 0, 0)])).toEqual([]);
    expect(predictionFindings([tally(0, 0, 1)])[0]).toMatchObject({ level: "note" });
  });

  it("says how many were published otherwise, with what to do", () => {
    const [finding] = predictionFindings([tally(1, 1, 0)]);
    expect(finding).toMatchObject({
      level: "warning",
      sentence: "worker 7 (pad): 1 of 2 prompts with images were published otherwise than predicted",
    });
    expect(finding?.remedy).toContain("preprocessor_config.json");
  });
});

describe("judgeNats", () => {
  it("finds nothing wrong with a server as launch.sh starts it", () => {
    expect(judgeNats("nats://h", { version: "2.15.1", jetstream: true, max_payload: 8 * 1024 * 1024 }).map(({ level }) => level)).toEqual([
      "ok",
    ]);
  });

  it("says what an old server without JetStream and with the default payload limit cannot do", () => {
    const findings = judgeNats("nats://h", { version: "2.9.10", max_payload: 1_048_576 });
    expect(findings.map(({ level }) => level)).toEqual(["ok", "warning", "error", "warning"]);
    expect(findings[3]!.sentence).toContain("379 kB");
  });
});
