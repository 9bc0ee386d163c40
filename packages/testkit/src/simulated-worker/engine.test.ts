import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PoolEvent } from "./block-pool.ts";
import { type EngineConfig, type EngineRequest, type EngineStep, SimulatedEngine } from "./engine.ts";

const config: EngineConfig = { blockSize: 4, blocks: 16, batchMax: 2, prefillUs: 1000, tokenMs: 10 };

const request = (id: string, prompt: readonly number[], tokensMax = 3, more: Partial<EngineRequest> = {}): EngineRequest => ({
  id,
  prompt: Uint32Array.from(prompt),
  images: [],
  tokensMax,
  answer: (index) => 100 + index,
  ...more,
});

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

function runToEnd(engine: SimulatedEngine, from = 0): EngineStep[] {
  const steps: EngineStep[] = [];
  let now = from;
  for (;;) {
    steps.push(...engine.step(now));
    const next = engine.nextDueAt();
    if (next === undefined) return steps;
    now = next;
  }
}

describe("SimulatedEngine", () => {
  it("answers token by token after a prefill that costs time per token", () => {
    const engine = new SimulatedEngine(config);
    engine.submit(request("a", range(0, 10)));
    expect(engine.step(0)).toEqual([]);
    expect(engine.nextDueAt()).toBe(20); // 10 tokens × 1 ms, and the first token
    expect(engine.step(19.9)).toEqual([]);
    expect(engine.step(20)).toEqual([{ id: "a", tokens: [100], cachedTokens: 0 }]);
    expect(engine.step(40)).toEqual([{ id: "a", tokens: [101, 102], end: "length", cachedTokens: 0 }]);
    expect(engine.nextDueAt()).toBeUndefined();
  });

  it("ends with stop where the answer ends", () => {
    const engine = new SimulatedEngine(config);
    engine.submit(request("a", [1], 9, { answer: (index) => [7, 8][index] }));
    expect(runToEnd(engine).at(-1)).toEqual({ id: "a", tokens: [], end: "stop", cachedTokens: 0 });
  });

  it("prefills only what is not in the cache, and always the last prompt token", () => {
    const engine = new SimulatedEngine(config);
    engine.submit(request("first", range(0, 12)));
    runToEnd(engine);
    engine.submit(request("same", range(0, 12)));
    engine.step(1000);
    expect(engine.nextDueAt()).toBe(1000 + 4 + 10); // the third block holds the last token: computed again
    expect(runToEnd(engine, 1000).at(-1)?.cachedTokens).toBe(8);
    engine.submit(request("other", range(50, 62)));
    expect(runToEnd(engine, 2000).at(-1)?.cachedTokens).toBe(0);
  });

  it("takes another image of the same size for other content", () => {
    const engine = new SimulatedEngine(config);
    const image = (name: bigint) => ({ images: [{ name, start: 4, length: 6 }] });
    engine.submit(request("cat", range(0, 17), 1, image(1n)));
    engine.submit(request("dog", range(0, 17), 1, image(2n)));
    const steps = runToEnd(engine);
    engine.submit(request("cat again", range(0, 17), 1, image(1n)));
    engine.submit(request("dog again", range(0, 17), 1, image(2n)));
    const again = runToEnd(engine, 1000);
    expect(steps.map(({ id, cachedTokens }) => [id, cachedTokens])).toEqual([
      ["cat", 0],
      ["dog", 0],
    ]);
    expect(again.map(({ cachedTokens }) => cachedTokens)).toEqual([16, 16]);
  });

  it("lets a request wait until the batch and the cache have room", () => {
    const engine = new SimulatedEngine({ ...config, blocks: 4 });
    engine.submit(request("a", range(0, 9)));
    engine.submit(request("b", range(20, 29)));
    const ends = runToEnd(engine).filter(({ end }) => end !== undefined);
    expect(ends.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(() => engine.submit(request("c", range(0, 17)))).toThrow("20 tokens do not fit into 4 blocks");
  });

  it("stores the prompt's full blocks after the prefill and the rest, partial block included, at the end", () => {
    const engine = new SimulatedEngine(config);
    engine.submit(request("a", range(0, 9), 3));
    engine.step(0);
    expect(engine.takeEvents()).toEqual([]);
    engine.step(9);
    const [first] = engine.takeEvents() as (PoolEvent & { kind: "stored" })[];
    expect(first?.parent).toBeNull();
    expect(first?.blocks.map(({ tokens }) => [...tokens])).toEqual([range(0, 4), range(4, 8)]);
    runToEnd(engine, 10);
    const [second] = engine.takeEvents() as (PoolEvent & { kind: "stored" })[];
    expect(second?.parent).toBe(first?.blocks[1]?.hash);
    expect(second?.blocks.map(({ tokens }) => [...tokens])).toEqual([[8, 100, 101]]); // the last token has no entry yet
  });

  it("replaces a partial block by its extension", () => {
    const engine = new SimulatedEngine(config);
    engine.submit(request("a", range(0, 6), 1));
    runToEnd(engine);
    const partial = (engine.takeEvents() as (PoolEvent & { kind: "stored" })[]).at(-1)!.blocks[0]!;
    expect([...partial.tokens]).toEqual([4, 5]);
    engine.submit(request("b", range(0, 9), 1));
    runToEnd(engine, 1000);
    expect(engine.takeEvents()[0]).toEqual({ kind: "removed", hashes: [partial.hash] });
  });

  it("says nothing more about a request that was aborted, waiting or running", () => {
    const engine = new SimulatedEngine({ ...config, batchMax: 1 });
    engine.submit(request("running", range(0, 9)));
    engine.submit(request("waiting", range(20, 29)));
    engine.step(20);
    engine.abort("running");
    engine.abort("waiting");
    expect(runToEnd(engine, 30)).toEqual([]);
    expect(engine.usedBlocks).toBe(0);
  });

  const prompts = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 24 });
  const histories = fc.array(fc.record({ prompt: prompts, tokensMax: fc.integer({ min: 1, max: 6 }), gap: fc.nat(40) }), { maxLength: 30 });

  it("ends every request once, gives all blocks back, and its events describe a cache that never exceeds its size", () => {
    fc.assert(
      fc.property(histories, (history) => {
        const engine = new SimulatedEngine({ ...config, blocks: 8 });
        const steps: EngineStep[] = [];
        const events: PoolEvent[] = [];
        let now = 0;
        history.forEach(({ prompt, tokensMax, gap }, index) => {
          engine.submit(request(`${index}`, prompt, tokensMax));
          now += gap;
          steps.push(...engine.step(now));
          events.push(...engine.takeEvents());
        });
        steps.push(...runToEnd(engine, now));
        events.push(...engine.takeEvents());
        const ends = steps.filter(({ end }) => end !== undefined).map(({ id }) => id);
        expect(ends.toSorted()).toEqual(history.map((_, index) => `${index}`).toSorted());
        expect(engine.usedBlocks).toBe(0);
        expectCacheOf(events, 8);
      }),
    );
  });

  it("says the same however often it is stepped", () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 1, max: 9 }), (history, stride) => {
        const often = new SimulatedEngine(config);
        const seldom = new SimulatedEngine(config);
        history.slice(0, 2).forEach(({ prompt, tokensMax }, index) => {
          for (const engine of [often, seldom]) engine.submit(request(`${index}`, prompt, tokensMax));
        });
        const all: EngineStep[] = [];
        for (let now = 0; now <= 200; now += stride) all.push(...often.step(now));
        all.push(...often.step(1000));
        seldom.step(0);
        const tokensOf = (steps: readonly EngineStep[], id: string) =>
          steps.filter((step) => step.id === id).flatMap(({ tokens }) => tokens);
        const late = seldom.step(1000);
        for (const id of ["0", "1"]) expect(tokensOf(all, id)).toEqual(tokensOf(late, id));
      }),
    );
  });
});

/** Follows the events as an index does: parents are known, removals are of known leaves, the size holds. */
function expectCacheOf(events: readonly PoolEvent[], capacity: number): void {
  const parents = new Map<bigint, bigint | null>();
  for (const event of events) {
    if (event.kind === "removed") {
      for (const hash of event.hashes) expect(parents.delete(hash)).toBe(true);
      continue;
    }
    let parent = event.parent;
    expect(parent === null || parents.has(parent)).toBe(true);
    for (const { hash } of event.blocks) {
      expect(parents.has(hash)).toBe(false);
      parents.set(hash, parent);
      parent = hash;
    }
    expect(parents.size).toBeLessThanOrEqual(capacity);
  }
}
