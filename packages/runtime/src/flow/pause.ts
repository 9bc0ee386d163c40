// A wait that an abort only shortens.
import { setTimeout as sleep } from "node:timers/promises";

/** Resolves after `ms` milliseconds, or as soon as `signal` aborts: the caller asks the signal anyway. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {}); // its only rejection is the abort
}
