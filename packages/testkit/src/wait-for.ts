// Waits for a fact: asks again until there is an answer, the deadline has passed, or who should bring it about has ended.
import { setTimeout as sleep } from "node:timers/promises";
import { type Child, describeExit } from "@mm-router/cli/infra";

export interface WaitOptions {
  /** End of the sentence "waited N s for …". */
  readonly what: string;
  /** Default: `patienceMs`. */
  readonly deadlineMs?: number;
  /** Waiting ends with its last words when it has ended. */
  readonly child?: Child;
}

/** How long a test waits for what must come: a deadline is only for failure, and the machine may have ten other things to do. */
export const patienceMs = 60_000;

/**
 * The first answer that is not undefined.
 *
 * @param ask may throw: the last error becomes the cause when the deadline passes
 */
export async function waitFor<T>(options: WaitOptions, ask: () => Promise<T | undefined>): Promise<T> {
  const { deadlineMs = patienceMs } = options;
  const endsAt = Date.now() + deadlineMs;
  let cause: unknown;
  while (Date.now() < endsAt) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      cause = error;
    }
    if (options.child !== undefined && !options.child.running)
      throw new Error(describeExit(options.child, await options.child.exit), { cause });
    await sleep(50);
  }
  const said = options.child === undefined ? "" : `; its last lines:\n${options.child.lastLines().slice(-20).join("\n")}`;
  throw new Error(`waited ${deadlineMs / 1000} s for ${options.what}${said}`, { cause });
}
