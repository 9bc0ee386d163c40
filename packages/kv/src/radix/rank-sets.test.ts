import fc from "fast-check";
import { expect, it } from "vitest";
import { RankSets } from "./rank-sets.ts";

it("holds for each of many slots the set that was built there, and frees what no slot has", () => {
  const ranks = Array.from({ length: 201 }, (_, rank) => rank);
  const flip = fc.tuple(fc.nat(7), fc.oneof(fc.nat(5), fc.nat(200)));
  fc.assert(
    fc.property(fc.array(flip, { maxLength: 200 }), (flips) => {
      const sets = new RankSets();
      const slots = Array.from({ length: 8 }, () => 0);
      const model = slots.map(() => new Set<number>());
      for (const [slot, rank] of flips) {
        const has = model[slot]!.has(rank);
        expect(sets.has(slots[slot]!, rank)).toBe(has);
        slots[slot] = has ? sets.without(slots[slot]!, rank) : sets.with(slots[slot]!, rank);
        if (!model[slot]!.delete(rank)) model[slot]!.add(rank);
      }
      for (const [slot, set] of slots.entries()) {
        expect(ranks.filter((rank) => sets.has(set, rank))).toEqual(ranks.filter((rank) => model[slot]!.has(rank)));
        const same = model.findIndex((other) => other.size === model[slot]!.size && [...other].every((rank) => model[slot]!.has(rank)));
        expect(set).toBe(slots[same]);
      }
      for (const [slot, ranks] of model.entries()) for (const rank of ranks) slots[slot] = sets.without(slots[slot]!, rank);
      expect(slots.every((set) => set === 0)).toBe(true);
      expect(sets.isEmpty).toBe(true);
    }),
    { numRuns: 300 },
  );
});
