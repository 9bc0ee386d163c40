// When a worker that ended is started again. Pure: time is an argument.
//
//   exit ─► fatal? (usage, no GPU) ─────────────────────────► give up
//        └► 5th failure within 10 minutes? ─────────────────► give up
//        └► wait 1, 2, 4 … 30 s (back to 1 s after 60 s of being ready)
//
// An exit with code 0 that nobody asked for is a failure as well: the worker is gone.

const delaysMs = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000] as const;
const stableAfterMs = 60_000;
const failuresMax = 5;
const windowMs = 600_000;

export interface WorkerExit {
  readonly code: number | null;
  /** The last lines the worker printed. */
  readonly lines: readonly string[];
  /** Milliseconds for which it had been ready; 0 when it never was. */
  readonly readyMs: number;
}

export type RestartDecision =
  | { readonly kind: "restart"; readonly delayMs: number }
  | { readonly kind: "give-up"; readonly reason: string };

export class RestartPolicy {
  #failures: number[] = [];
  #delayAt = 0;

  /** @param nowMs a monotonic clock */
  decide(exit: WorkerExit, nowMs: number): RestartDecision {
    const fatal = fatalReasonOf(exit);
    if (fatal !== undefined) return { kind: "give-up", reason: fatal };
    if (exit.readyMs >= stableAfterMs) this.#delayAt = 0;
    this.#failures = [...this.#failures.filter((at) => nowMs - at < windowMs), nowMs];
    if (this.#failures.length >= failuresMax)
      return { kind: "give-up", reason: `${failuresMax} failures within ${windowMs / 60_000} minutes` };
    const delayMs = delaysMs[Math.min(this.#delayAt++, delaysMs.length - 1)]!;
    return { kind: "restart", delayMs };
  }
}

/** What another start cannot mend. */
function fatalReasonOf({ code, lines }: WorkerExit): string | undefined {
  if (code === 2) return "the worker refused its command line (exit code 2)";
  if (lines.some((line) => line.includes("No GPU devices"))) return "the worker found no GPU";
  return undefined;
}
