// What was started is stopped in reverse, each once, whatever fails on the way.

export interface Unwinder {
  /** @param timeoutMs undefined: the step's own time; 0: at once */
  add(name: string, stop: (timeoutMs?: number) => Promise<unknown>): void;
  /** Stops everything in reverse order; a second call with 0 hurries the first one. Never rejects. */
  unwind(timeoutMs?: number): Promise<void>;
}

export function createUnwinder(say: (line: string) => void): Unwinder {
  const steps: { name: string; stop: (timeoutMs?: number) => Promise<unknown> }[] = [];
  return {
    add(name, stop) {
      steps.push({ name, stop });
    },
    async unwind(timeoutMs) {
      if (timeoutMs === 0) {
        await Promise.allSettled(steps.splice(0).map(({ stop }) => stop(0)));
        return;
      }
      for (let step = steps.at(-1); step !== undefined; step = steps.at(-1)) {
        say(`stopping ${step.name}`);
        const current = step;
        await current.stop(timeoutMs).catch((error: unknown) => say(`${current.name}: ${String(error)}`));
        if (steps.at(-1) === current) steps.pop();
      }
    },
  };
}
