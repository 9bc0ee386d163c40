// Images of ranks: what an index holds, taken out and put into another, alone and while events go on.
import { AppError, type InstanceId, type WorkerKey } from "@mm-router/protocol";
import fc from "fast-check";
import { expect, it } from "vitest";
import { cleanHistory, dirtyStep, type HistoryStep, run, scoresOf } from "./kv-histories.suite.ts";
import { stored } from "./kv-events.suite.ts";
import { RadixTree } from "./radix-tree.ts";

const ranks: readonly WorkerKey[] = [1n, 2n, 3n].flatMap((workerId) =>
  [0, 1].map((dpRank) => ({ workerId: workerId as InstanceId, dpRank })),
);

function restored(index: RadixTree, sliceNodes?: number): RadixTree {
  const copy = new RadixTree();
  const restore = copy.restore();
  for (const worker of ranks) {
    const image = restore.rank(worker, index.entriesOf(worker));
    for (const slice of index.imageOf(worker, sliceNodes)) image.take(slice);
  }
  restore.done();
  return copy;
}

const played = (steps: readonly HistoryStep[]): RadixTree => {
  const index = new RadixTree();
  for (const step of steps) run(index, step);
  return index;
};

it("an index restored from images answers, takes events and is emptied as the one they were made of, whatever happened before", () => {
  const history = fc.array(dirtyStep, { maxLength: 100 });
  fc.assert(
    fc.property(history, history, fc.integer({ min: 1, max: 9 }), (before, after, sliceNodes) => {
      const original = played(before);
      const copy = restored(original, sliceNodes);
      expect(copy.size.entries).toBe(original.size.entries);
      for (const step of [...before.filter((step) => "find" in step), ...after]) expect(run(copy, step)).toEqual(run(original, step));
      for (const { workerId } of ranks) copy.removeWorker(workerId);
      expect(copy.isEmpty).toBe(true);
    }),
    { numRuns: 600 },
  );
});

it("an image drawn while events go on is right once those events are applied again", () => {
  fc.assert(
    fc.property(cleanHistory, fc.nat(60), fc.integer({ min: 1, max: 40 }), (steps, at, sliceNodes) => {
      const original = played(steps.slice(0, at));
      const tail = steps.slice(at);
      const copy = new RadixTree();
      const restore = copy.restore();
      let applied = 0;
      for (const worker of ranks) {
        const image = restore.rank(worker);
        for (const slice of original.imageOf(worker, sliceNodes)) {
          image.take(slice);
          if (applied < tail.length) run(original, tail[applied++]!);
        }
      }
      restore.done();
      for (; applied < tail.length; applied++) run(original, tail[applied]!);
      for (const step of tail) run(copy, step);
      for (const step of steps) if ("find" in step) expect(scoresOf(copy, step.find)).toEqual(scoresOf(original, step.find));
      const blocks = (index: RadixTree) => ranks.map((worker) => index.entriesOf(worker));
      expect(blocks(copy)).toEqual(blocks(original));
    }),
    { numRuns: 300 },
  );
});

it("refuses words that are no image, and images beyond the limit, and stays usable", () => {
  const [worker] = ranks as [WorkerKey];
  const original = new RadixTree();
  const path = [1n, 2n, 3n].map((block) => [block, block] as const);
  original.apply(stored({ worker: worker.workerId, rank: 0 }, null, path));
  const [words] = [...original.imageOf(worker)].filter(({ length }) => length > 0) as [Uint32Array];
  const take = (image: Uint32Array, entriesMax = 100): RadixTree => {
    const index = new RadixTree({ entriesMax });
    const restore = index.restore();
    restore.rank(worker).take(image);
    restore.done();
    return index;
  };
  expect(scoresOf(take(words), [1n, 2n, 3n])).toEqual(["1:0=3"]);
  expect(() => take(words, 2)).toThrow(AppError);
  for (const [at, value] of [
    [0, 7], // a parent that is not there
    [1, 4], // an unknown kind
    [2, 0xffff_ffff], // more nodes than words
  ] as const) {
    const wrong = Uint32Array.from(words);
    wrong[at] = value;
    expect(() => take(wrong), `word ${at}`).toThrow(AppError);
  }
  fc.assert(
    fc.property(fc.array(fc.nat(6), { maxLength: 60 }), (random) => {
      try {
        take(Uint32Array.from(random)).removeWorker(worker.workerId);
      } catch (error) {
        expect(error).toBeInstanceOf(AppError);
      }
    }),
    { numRuns: 2_000 },
  );
});
