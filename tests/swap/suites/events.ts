// (e) Events of real workers in our index: equal to what each worker tells about itself, found by hashes of plain tokens.
import { blockHashes, xxh3 } from "@mm-router/kv";
import { describe, expect, it } from "vitest";
import type { CellOf } from "../harness/cell.ts";
import { type Index, queryIndex, untilHeld } from "../harness/index-query.ts";
import { expectSameBlocks } from "../harness/index-stack.ts";
import { dumpOfWorker } from "../harness/index-view.ts";
import { callInstance } from "../harness/our-client.ts";
import { tokensRequest } from "../harness/tokens-request.ts";

const tokens = Uint32Array.from({ length: 96 }, (_, at) => 7000 + at);
const hashes = blockHashes({ tokens, blockSize: 32 });

export function eventsSuite(cell: CellOf): void {
  describe("our index under real workers", () => {
    const ourIndex = (): Index => ({ ...cell(), instanceId: cell().indexer!.instanceId });

    it("finds what a worker stored, under the id of the worker that stored it", async () => {
      const { runtime, place, workers } = cell();
      const target = workers[1]!;
      await callInstance(runtime, place, target, tokensRequest(7000));
      expect(await untilHeld(ourIndex(), hashes, target.instanceId, 3)).toEqual(new Map([[target.instanceId, 3]]));
    });

    it("finds nothing with hashes of another seed", async () => {
      const bytes = new Uint8Array(tokens.buffer);
      const hashesWith = (seed: bigint) =>
        BigUint64Array.from([0, 1, 2], (block) => xxh3(bytes.subarray(block * 128, (block + 1) * 128), seed));
      expect(hashesWith(1337n)).toEqual(hashes);
      expect(await queryIndex(ourIndex(), hashesWith(1338n))).toEqual(new Map());
    });

    it("equals what each worker tells about itself, where it does", async () => {
      const { runtime, place, component, workers, indexer } = cell();
      if ((await dumpOfWorker(runtime, place, component, workers[0]!.instanceId)) === undefined) return; // durable events: no index of its own
      await expectSameBlocks({ runtime, place }, indexer!, workers);
    });
  });
}
