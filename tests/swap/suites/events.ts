// (e) Events of real workers in our index: equal to what each worker tells about itself, found by hashes of plain tokens.
import { blockHashes, xxh3 } from "@mm-router/kv";
import { waitFor } from "@mm-router/testkit";
import { describe, expect, it } from "vitest";
import type { CellOf } from "../harness/cell.ts";
import { type Index, queryIndex, untilHeld } from "../harness/index-query.ts";
import { dumpOfIndexer, dumpOfWorker } from "../harness/index-view.ts";
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
      const dumps = await Promise.all(
        workers.map(async ({ instanceId }) => [instanceId, await dumpOfWorker(runtime, place, component, instanceId)] as const),
      );
      const told = new Map(dumps.filter((dump): dump is readonly [bigint, Set<string>] => dump[1] !== undefined && dump[1].size > 0));
      if (told.size === 0) return; // durable events: such a worker has no index of its own
      await waitFor({ what: "our index to hold as much as the workers" }, async () => {
        const paths = await dumpOfIndexer(indexer!.url);
        return [...told].every(([id, own]) => paths.get(id)?.size === own.size) || undefined;
      });
      expect(await dumpOfIndexer(indexer!.url)).toEqual(told);
    });
  });
}
