import { expect, it } from "vitest";
import { FleetWatch, type Moment } from "./fleet-watch.ts";

/** A watch whose looks are counted and take as long as the test lets them. */
function watchOf() {
  const state = { nowMs: 0, looks: 0 };
  const look = (): Promise<Moment> => {
    state.looks++;
    const records = { instances: [], cards: [], channels: [], unreadable: [] };
    return Promise.resolve({ fleet: { atMs: state.nowMs, routers: [], indexers: [], workers: new Map(), records }, own: [] });
  };
  const options = { freshMs: 1_000, windowMs: 10_000, deadlineMs: 1_000 };
  return { state, watch: new FleetWatch(look, options, () => state.nowMs) };
}

it("looks once for all who ask within a second", async () => {
  const { state, watch } = watchOf();
  await Promise.all([watch.moments(), watch.moments(), watch.moments()]);
  state.nowMs = 900;
  await watch.moments();
  expect(state.looks).toBe(1);
  state.nowMs = 1_100;
  await watch.moments();
  expect(state.looks).toBe(2);
});

it("lets rates be over the window and no longer, also after nobody asked for a while", async () => {
  const { state, watch } = watchOf();
  for (state.nowMs = 0; state.nowMs <= 30_000; state.nowMs += 2_000) await watch.moments();
  const { before, now } = await watch.moments();
  expect(now.fleet.atMs - before.fleet.atMs).toBe(10_000);
  state.nowMs = 600_000;
  const later = await watch.moments();
  expect(later.before).toBe(later.now);
});

it("asks again after a look that failed", async () => {
  let fails = true;
  const moment: Moment = {
    fleet: { atMs: 0, routers: [], indexers: [], workers: new Map(), records: { instances: [], cards: [], channels: [], unreadable: [] } },
    own: [],
  };
  const watch = new FleetWatch(() => (fails ? Promise.reject(new Error("gone")) : Promise.resolve(moment)));
  await expect(watch.moments()).rejects.toThrow("gone");
  fails = false;
  expect((await watch.moments()).now.fleet).toMatchObject(moment.fleet);
});
