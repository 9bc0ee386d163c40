import type { FleetView } from "@mm-router/runtime";
import { expect, it } from "vitest";
import { watchTable } from "./watch-table.ts";

it("prints a table each, with – for what is not known", () => {
  const view: FleetView = {
    routers: [
      { router_id: "1", requests_per_second: 10, running: 3, queue: 0, hit_rate: 0.75, available_rate: 0.75, degraded_per_second: 0 },
    ],
    indexers: [],
    workers: [
      { worker_id: "71", dp_rank: 1, release: "1.6", requests: 0, active_blocks: 0, prefill_tokens: 0, blocks: null, silent_seconds: null },
    ],
  };
  const lines = watchTable(view).split("\n");
  expect(lines[0]).toBe("router  requests/s  running  queue  hit  available  degraded/s");
  expect(lines[1]).toBe("1             10.0        3      0  75%        75%         0.0");
  expect(lines.at(-2)).toBe("71         1      1.6         0              0               0            –       –");
  expect(watchTable({ routers: [], indexers: [], workers: [] })).toBe(
    "no mm-router answers\n\nno indexer of ours answers\n\nno worker is known\n",
  );
});
