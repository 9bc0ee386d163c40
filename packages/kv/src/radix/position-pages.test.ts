import fc from "fast-check";
import { expect, it } from "vitest";
import { PositionPages, positionsOf } from "./position-pages.ts";

it("gives out extents that never overlap, aligned to their size, and takes the memory of freed ones again", () => {
  const step = fc.tuple(fc.boolean(), fc.nat(3), fc.nat());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const pages = new PositionPages();
      const taken: { base: number; size: number }[] = [];
      const used = new Set<number>();
      for (const [take, size, pick] of steps) {
        if (take || taken.length === 0) {
          const base = pages.take(size);
          expect(base % positionsOf(size)).toBe(0);
          for (let at = base; at < base + positionsOf(size); at++) {
            expect(used.has(at) || at === 0).toBe(false);
            used.add(at);
          }
          taken.push({ base, size });
        } else {
          const [{ base, size: given }] = taken.splice(pick % taken.length, 1) as [{ base: number; size: number }];
          for (let at = base; at < base + positionsOf(given); at++) used.delete(at);
          pages.give(base, given);
        }
      }
      for (const { base, size } of taken) pages.give(base, size);
      const { bytes } = pages;
      // Everything but the chunk of the root is whole again: as many largest extents fit as the page has.
      for (let chunk = 1; chunk < 512; chunk++) pages.take(3);
      expect(pages.bytes).toBe(bytes);
    }),
    { numRuns: 200 },
  );
});
