// (f) Our client before a real served index: it knows the same blocks as ours, and answers our queries.
//
// The routers leave first: a frontend serves the index of every model's component, and up to 1.5 all of them under one TCP
// path, `{id}/kv_indexer_query`, where the last one answers for all.
import { blockHashes } from "@mm-router/kv";
import { etcdEntries, factsOf, internalModel, registeredInstances, startDynamoFrontend, untilListed, waitFor } from "@mm-router/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CellOf } from "../harness/cell.ts";
import { queryIndex, untilHeld } from "../harness/index-query.ts";
import { callInstance } from "../harness/our-client.ts";
import { tokensRequest } from "../harness/tokens-request.ts";

export function servedIndexSuite(cell: CellOf, release: Parameters<typeof factsOf>[0]): void {
  if (!factsOf(release).servesIndexer) return; // the flag came with 1.2
  describe("our client before a real served index", () => {
    const started = new AsyncDisposableStack();
    let realIndex: bigint;
    beforeAll(async () => {
      const { place, component, indexer, routers } = cell();
      await Promise.all(routers.map(({ child }) => child.terminate(30_000)));
      expect(await registeredInstances(place.etcdUrl, `${place.namespace}/mm_router/generate`)).toEqual([]);
      const frontend = started.use(await startDynamoFrontend(place, { release, routerMode: "kv", serveIndexer: true }));
      await untilListed(frontend, internalModel);
      const prefix = `v1/instances/${place.namespace}/${component}/kv_indexer_query/`;
      realIndex = await waitFor({ what: "the real index to register", child: frontend.child }, async () => {
        const ids = (await etcdEntries(place.etcdUrl, prefix)).map(({ key }) => BigInt(`0x${key.slice(prefix.length)}`));
        return ids.find((id) => id !== indexer?.instanceId);
      });
    });
    afterAll(() => started.disposeAsync());

    it("gives the scores that our own index gives", async () => {
      const { runtime, place, workers, indexer } = cell();
      const hashesFrom = (first: number) => blockHashes({ tokens: Uint32Array.from({ length: 96 }, (_, at) => first + at), blockSize: 32 });
      await Promise.all(workers.map((worker, index) => callInstance(runtime, place, worker, tokensRequest(8000 + 200 * index))));
      const theirs = { ...cell(), instanceId: realIndex };
      const ours = { ...cell(), instanceId: indexer!.instanceId };
      for (const [index, { instanceId }] of workers.entries()) {
        const hashes = hashesFrom(8000 + 200 * index);
        for (const asked of [theirs, ours]) {
          expect(await untilHeld(asked, hashes, instanceId, 3)).toEqual(new Map([[instanceId, 3]])); // the third comes with the answer's end
        }
      }
      expect(await queryIndex(theirs, hashesFrom(90_000))).toEqual(new Map());
    });
  });
}
