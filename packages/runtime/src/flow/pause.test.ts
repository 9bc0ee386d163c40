import { expect, it } from "vitest";
import { pause } from "./pause.ts";

it("ends at once when the signal aborts, and leaves no timer behind", async () => {
  const abort = new AbortController();
  const waiting = pause(3_600_000, abort.signal);
  abort.abort();
  await expect(waiting).resolves.toBeUndefined();
  await expect(pause(3_600_000, abort.signal)).resolves.toBeUndefined();
});

it("waits its time when nothing aborts", async () => {
  const before = performance.now();
  await pause(30, new AbortController().signal);
  expect(performance.now() - before).toBeGreaterThanOrEqual(29);
});
