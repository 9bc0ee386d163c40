import fc from "fast-check";
import { expect, it } from "vitest";
import { EngineHashes } from "./engine-hashes.ts";

it("behaves as a Map over random sets, gets and deletes", () => {
  const step = fc.tuple(fc.nat(3), fc.oneof(fc.bigInt(0n, 30n), fc.bigInt(0n, 2n ** 64n - 1n)), fc.integer({ min: 1, max: 0x7fff_ffff }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new EngineHashes();
      const model = new Map<bigint, number>();
      for (const [kind, hash, position] of steps) {
        const halves = [Number(BigInt.asIntN(32, hash)), Number(BigInt.asIntN(32, hash >> 32n))] as const;
        const before = model.get(hash) ?? 0;
        if (kind === 0) expect(table.get(...halves)).toBe(before);
        if (kind === 1) expect(table.delete(...halves)).toBe(before);
        if (kind === 2) expect(table.set(...halves, position)).toBe(before);
        if (kind === 3) expect(table.getBeside(...halves, position | 0, 0)).toBe(before);
        if (kind === 1) model.delete(hash);
        if (kind === 2) model.set(hash, position);
        expect(table.size).toBe(model.size);
      }
      expect(new Map(table.entries())).toEqual(model);
    }),
    { numRuns: 300 },
  );
});
