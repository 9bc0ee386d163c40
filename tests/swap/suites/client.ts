// (a) Our client calls a real mocker and a real worker: what it yields is what Dynamo's own Python client yields.
import { describe, expect, it } from "vitest";
import type { CellOf } from "../harness/cell.ts";
import { untilAborted } from "../harness/engine-aborts.ts";
import { callInstance } from "../harness/our-client.ts";
import { callWithPython } from "../harness/python-client.ts";
import { tokensRequest } from "../harness/tokens-request.ts";

export function clientSuite(cell: CellOf): void {
  describe("our client", () => {
    it("yields from a real worker what the real Python client yields", async () => {
      const { runtime, place, release, workers } = cell();
      const target = workers[0]!;
      const request = tokensRequest(1000);
      await callInstance(runtime, place, target, request); // so that both find the same in the cache
      const ours = await callInstance(runtime, place, target, request);
      const [theirs] = await callWithPython(place, release, target, [request]);
      expect(ours.error).toBeUndefined();
      expect(theirs?.error).toBeNull();
      expect(ours.items).toHaveLength(6);
      expect(ours.items).toEqual(theirs?.items);
    });

    it("yields from a real mocker items of the form and number that the real Python client yields", async () => {
      const { runtime, release, mocker } = cell();
      const request = tokensRequest(2000, { max_tokens: 5, ignore_eos: true });
      const ours = await callInstance(runtime, mocker.place, mocker, request);
      const [theirs] = await callWithPython(mocker.place, release, mocker, [request]);
      const formOf = (items: readonly unknown[] | undefined) => items?.map((item) => Object.keys(item as object).toSorted());
      expect(ours.error).toBeUndefined();
      expect(ours.items.length).toBeGreaterThan(0);
      expect(formOf(ours.items)).toEqual(formOf(theirs?.items));
    });

    it("gets the worker's own words when a request fails in it, and the worker lives on", async () => {
      const { runtime, place, release, workers } = cell();
      const target = workers[0]!;
      const withoutMaxTokens = tokensRequest(3000, {});
      const ours = await callInstance(runtime, place, target, withoutMaxTokens);
      const [theirs] = await callWithPython(place, release, target, [withoutMaxTokens]);
      expect(ours.items).toEqual([]);
      expect(ours.error?.message).toContain("max_tokens");
      expect(theirs?.error).toContain(ours.error?.message);
      expect((await callInstance(runtime, place, target, tokensRequest(3000))).error).toBeUndefined();
    });

    it("ends its stream at once when it leaves, and a worker that can abort does", async () => {
      const { runtime, place, release, workers } = cell();
      const target = workers[0]!;
      const leave = async () => {
        const leaving = new AbortController();
        const outcome = await callInstance(runtime, place, target, tokensRequest(4000, { max_tokens: 10_000 }), {
          signal: leaving.signal,
          onItem: (_, count) => {
            if (count === 3) leaving.abort();
          },
        });
        expect(outcome.error?.code).toBe("client_closed");
        expect(outcome.items.length).toBeLessThan(5_000); // of 10 000 in 20 s: all that came while this process slept comes at once
      };
      if (["0.9.1", "1.0.2"].includes(release))
        await leave(); // these compute to the end
      else await untilAborted([target], leave);
    });
  });
}
