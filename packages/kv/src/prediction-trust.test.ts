import { describe, expect, it } from "vitest";
import type { PredictionVerdict } from "./prediction-check.ts";
import { PredictionTrust } from "./prediction-trust.ts";

const exact: PredictionVerdict = { kind: "exact" };
const unseen: PredictionVerdict = { kind: "unseen" };
const different: PredictionVerdict = { kind: "different", block: 0, predicted: 1n, published: 2n };

const played = (verdicts: readonly PredictionVerdict[]) => {
  const trust = new PredictionTrust();
  return { trust, changes: verdicts.map((verdict) => trust.note(verdict)) };
};

describe("PredictionTrust", () => {
  it("is lost with the first that differs and regained with three exact ones in a row", () => {
    const { trust, changes } = played([exact, different, exact, exact, different, exact, exact, exact, exact]);
    expect(changes).toEqual([undefined, "lost", undefined, undefined, undefined, undefined, undefined, "regained", undefined]);
    expect(trust.counts).toEqual({ exact: 7, different: 2, unseen: 0 });
  });

  it("is not moved by what was not seen", () => {
    const { trust, changes } = played([different, exact, unseen, exact, unseen, unseen, exact]);
    expect(changes.at(-1)).toBe("regained");
    expect(trust.isTrusted).toBe(true);
    expect(played([unseen, unseen, unseen]).trust).toMatchObject({ isTrusted: true, isSettled: false });
  });

  it("is settled after three exact ones, until one differs", () => {
    expect(played([exact, exact]).trust.isSettled).toBe(false);
    expect(played([exact, exact, exact]).trust.isSettled).toBe(true);
    expect(played([exact, exact, exact, different]).trust.isSettled).toBe(false);
  });
});
