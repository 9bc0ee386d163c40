import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Lru } from "./lru.ts";

describe("Lru", () => {
  it("forgets the entry that was not used for longest", () => {
    const lru = new Lru<string, number>({ weightMax: 2 });
    lru.set("a", 1);
    lru.set("b", 2);
    lru.get("a");
    lru.set("c", 3);
    expect([lru.get("a"), lru.get("b"), lru.get("c")]).toEqual([1, undefined, 3]);
  });

  it("counts weights, the replaced entry's given back", () => {
    const lru = new Lru<string, Buffer>({ weightMax: 10, weightOf: (bytes) => bytes.length });
    lru.set("a", Buffer.alloc(4));
    lru.set("b", Buffer.alloc(4));
    lru.set("a", Buffer.alloc(6));
    expect([lru.weight, lru.size]).toEqual([10, 2]);
  });

  it("does not keep an entry heavier than the limit, nor lose the others for it", () => {
    const lru = new Lru<string, Buffer>({ weightMax: 10, weightOf: (bytes) => bytes.length });
    lru.set("a", Buffer.alloc(4));
    lru.set("huge", Buffer.alloc(11));
    expect([lru.get("huge"), lru.size]).toEqual([undefined, 1]);
  });

  it("never holds more than its limit and knows its weight, whatever happens", () => {
    const step = fc.record({ key: fc.nat(5), weight: fc.nat(12), kind: fc.constantFrom("set", "get", "delete") });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const lru = new Lru<number, number>({ weightMax: 10, weightOf: (weight) => weight });
        for (const { key, weight, kind } of steps) {
          if (kind === "set") lru.set(key, weight);
          else if (kind === "get") lru.get(key);
          else lru.delete(key);
          const held = [0, 1, 2, 3, 4, 5].map((each) => lru.get(each) ?? 0).reduce((sum, each) => sum + each);
          expect(lru.weight).toBe(held);
          expect(lru.weight).toBeLessThanOrEqual(10);
        }
      }),
    );
  });
});
