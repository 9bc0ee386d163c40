// Waits for facts: a number of keys in etcd, an HTTP answer. Ends early with the reason when a process that should bring
// them about has ended.
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "@mm-router/protocol";
import { type Child, describeExit, type Discovery } from "@mm-router/runtime";

const pollMs = 100;

export interface WaitOptions {
  /** For the sentence when it takes too long: "2 workers". */
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Processes that must stay alive meanwhile. */
  readonly children: readonly Child[];
}

/** Resolves when at least `count` keys stand under `prefix`. */
export async function untilKeys(discovery: Discovery, prefix: string, count: number, options: WaitOptions): Promise<void> {
  const keys = new Set<string>();
  const reached = Promise.withResolvers<void>();
  const watch = discovery.watch(prefix, {
    put(key) {
      keys.add(key);
      if (keys.size >= count) reached.resolve();
    },
    delete: (key) => void keys.delete(key),
  });
  watch.ready.catch(() => {}); // closed before its first list: then the wait below has ended with the reason
  try {
    await orFailure(reached.promise, options);
  } finally {
    watch.close();
  }
}

/** Resolves when `answers` says so; asked again until then. */
export async function untilAnswer(answers: (signal: AbortSignal) => Promise<boolean>, options: WaitOptions): Promise<void> {
  const over = new AbortController();
  const asking = (async () => {
    while (!over.signal.aborted && !(await answers(over.signal).catch(() => false))) await sleep(pollMs);
  })();
  try {
    await orFailure(asking, options);
  } finally {
    over.abort();
  }
}

async function orFailure(fact: Promise<void>, { what, timeoutMs, signal, children }: WaitOptions): Promise<void> {
  const failure = Promise.withResolvers<never>();
  const fail = (message: string): void => failure.reject(new AppError("dependency_unreachable", message));
  const timer = setTimeout(() => fail(`${what} not there after ${timeoutMs / 1000} s; see the logs`), timeoutMs);
  const interrupted = (): void => failure.reject(signal.reason);
  signal.addEventListener("abort", interrupted, { once: true });
  if (signal.aborted) interrupted();
  for (const child of children) void child.exit.then((status) => fail(`waiting for ${what}: ${describeExit(child, status)}`));
  try {
    await Promise.race([fact, failure.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", interrupted);
  }
}
