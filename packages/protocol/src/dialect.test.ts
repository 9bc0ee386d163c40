import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { detectRelease, dialectOf, releaseLines } from "./dialect.ts";
import { decodeInstance, type Instance } from "./discovery/instance.ts";
import { type CardEntry, decodeCardEntry } from "./discovery/model-card.ts";
import { AppError } from "./errors.ts";
import { stringifyJson } from "./json.ts";
import { parseCardKey, parseInstanceKey } from "./names.ts";

const workerReleases = ["0.9.1", "1.0.2", "1.2.1", "1.4.2", "1.5.1", "1.6.1"];

describe("dialectOf", () => {
  it("takes a release, a line, and what lies between or beyond them", () => {
    expect(
      Object.fromEntries(
        ["0.7.1", "0.9.1", "1.0", "1.2.1", "1.4.2", "1.5.1", "1.6.1"].map((release) => [release, dialectOf(release).line]),
      ),
    ).toEqual({
      "0.7.1": "0.7",
      "0.9.1": "0.9",
      "1.0": "1.0",
      "1.2.1": "1.2",
      "1.4.2": "1.4",
      "1.5.1": "1.5",
      "1.6.1": "1.6",
    });
    expect(dialectOf("1.1.0").line).toBe("1.0");
    expect(dialectOf("1.3.0rc1").line).toBe("1.2");
    expect(dialectOf("1.10.0").line).toBe("1.6");
    expect(dialectOf("0.5").line).toBe("0.7");
  });

  it.each(["", "latest", "1", "1.x", "one.two"])("refuses %j", (text) => {
    expect(() => dialectOf(text)).toThrow(AppError);
  });

  it("has every fact for every line", () => {
    for (const line of releaseLines) {
      const undefinedFacts = Object.entries(dialectOf(line)).filter(
        ([fact, value]) =>
          value === undefined && !["advertisedCodec", "jetStreamSubject", "eventIdsStartAt", "recoveryNaming"].includes(fact),
      );
      expect(undefinedFacts).toEqual([]);
    }
  });

  it("advertises what real instances of each release advertise", () => {
    for (const { version, key, value } of golden<{ instances: { version: string; key: string; value: string }[] }>("wire/discovery.json")
      .instances) {
      const instance = decodeInstance(key, value);
      const dialect = dialectOf(version);
      expect([version, instance.codec, instance.deviceType !== undefined]).toEqual([
        version,
        dialect.advertisedCodec,
        dialect.instanceHasDeviceType,
      ]);
    }
  });
});

describe("detectRelease", () => {
  it.each(workerReleases)("knows a real %s worker by its records, with the instance and by its card alone", (release) => {
    const workers = workersOf(release);
    expect(workers.length).toBeGreaterThan(0);
    for (const { instance, card } of workers) {
      expect(detectRelease(instance, card.card)).toBe(dialectOf(release).line);
      expect(detectRelease(undefined, card.card)).toBe(dialectOf(release).line);
    }
  });

  it("knows a 1.6 instance on TCP by its path", () => {
    const { card } = workersOf("1.4.2")[0]!;
    const tcp = decodeInstance("v1/instances/ns/backend/generate/1", '{"transport":{"tcp":"192.0.2.2:1/1/ns/backend/generate"}}');
    expect(detectRelease(tcp, card.card)).toBe("1.6");
  });
});

/** Serving endpoints with their cards, from what was in etcd when the workers of a release had started. */
function workersOf(release: string): { instance: Instance; card: CardEntry }[] {
  const records = Object.entries(golden<{ discovery: Record<string, unknown> }>(`worker/mm-${release}.json`).discovery);
  return records.flatMap(([key, value]) => {
    if (parseCardKey(key) === undefined) return [];
    const card = decodeCardEntry(key, stringifyJson(value));
    const instance = records.find(([other]) => parseInstanceKey(other)?.instanceId === card.instanceId && other.includes("/generate/"));
    return instance === undefined ? [] : [{ card, instance: decodeInstance(instance[0], stringifyJson(instance[1])) }];
  });
}
