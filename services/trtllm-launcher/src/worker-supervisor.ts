// Keeps one worker process alive: start, wait until ready, watch, restart with back-off, stop.
//
//   starting ──ready──▶ ready ──exit──▶ waiting ──delay──▶ starting
//       └──────exit──────────────────────▲   └──policy──▶ gave-up
//   stop() from anywhere ─▶ stopping ─▶ stopped
//
// I1  At most one process at a time; the next one starts only after the exit of the last.
// I2  TERM goes to the worker alone (its engine drains under it), KILL to its whole process group.
import { AppError } from "@mm-router/protocol";
import { type Child, describeExit, type Logger, startChild } from "@mm-router/runtime";
import { RestartPolicy } from "./restart-policy.ts";
import type { WorkerCommand } from "./worker-command.ts";

export type WorkerPhase = "starting" | "ready" | "waiting" | "gave-up" | "stopping" | "stopped";

export interface WorkerState {
  readonly name: string;
  readonly phase: WorkerPhase;
  readonly pid?: number;
  readonly restarts: number;
  readonly lastExitCode?: number | null;
  readonly reason?: string;
}

export interface WorkerSupervisorOptions {
  readonly name: string;
  readonly command: WorkerCommand;
  readonly log: Logger;
  readonly onLine: (line: string) => void;
  /** Resolves when this process serves; rejects when `signal` aborts. */
  readonly untilReady: (signal: AbortSignal) => Promise<void>;
  /** How long a worker may load its model before it counts as failed. */
  readonly readyTimeoutMs: number;
  /** From TERM to KILL: longer than the worker's own drain. */
  readonly stopTimeoutMs: number;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  readonly onChange: (state: WorkerState) => void;
}

export class WorkerSupervisor {
  readonly #options: WorkerSupervisorOptions;
  readonly #policy = new RestartPolicy();
  readonly #stop = new AbortController();
  #phase: WorkerPhase = "waiting";
  #child: Child | undefined;
  #restarts = 0;
  #lastExitCode: number | null | undefined;
  #reason: string | undefined;
  readonly #ended: Promise<void>;

  constructor(options: WorkerSupervisorOptions) {
    this.#options = options;
    this.#ended = this.#run();
  }

  get state(): WorkerState {
    return {
      name: this.#options.name,
      phase: this.#phase,
      restarts: this.#restarts,
      ...(this.#child?.pid !== undefined && this.#child.running && { pid: this.#child.pid }),
      ...(this.#lastExitCode !== undefined && { lastExitCode: this.#lastExitCode }),
      ...(this.#reason !== undefined && { reason: this.#reason }),
    };
  }

  /** Resolves when the worker will not be started again: it was stopped or given up. Never rejects. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** TERM, then KILL to the group after `timeoutMs` (default: the configured drain time). Resolves when the process has ended. */
  async stop(timeoutMs = this.#options.stopTimeoutMs): Promise<void> {
    this.#stop.abort(new AppError("client_closed", "the launcher is stopping"));
    if (this.#child?.running === true) {
      this.#enter("stopping");
      await this.#child.terminate(timeoutMs);
    }
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const exit = await this.#runOnce();
      if (this.#stop.signal.aborted) break;
      const decision = this.#policy.decide(exit, this.#options.now());
      if (decision.kind === "give-up") {
        this.#options.log.error("worker given up", { worker: this.#options.name, reason: decision.reason, exit_code: exit.code });
        this.#reason = decision.reason;
        this.#enter("gave-up");
        return;
      }
      this.#options.log.warn("worker ended, starting it again", {
        worker: this.#options.name,
        exit_code: exit.code,
        delay_ms: decision.delayMs,
      });
      this.#restarts++;
      this.#enter("waiting");
      await delay(decision.delayMs, this.#stop.signal);
    }
    this.#enter("stopped");
  }

  /** One process from start to exit. */
  async #runOnce(): Promise<{ code: number | null; lines: readonly string[]; readyMs: number }> {
    const { name, command, onLine, log, now } = this.#options;
    this.#enter("starting");
    const startedAt = now();
    const child = startChild({ name, command: command.command, args: command.args, environment: command.environment, onLine });
    this.#child = child;
    log.info("worker started", { worker: name, pid: child.pid, command: [command.command, ...command.args].join(" ") });
    const over = new AbortController();
    let readyAt: number | undefined;
    const readiness = this.#untilReady(over.signal).then(
      () => {
        if (!child.running || this.#stop.signal.aborted) return;
        readyAt = now();
        this.#enter("ready");
        log.info("worker ready", { worker: name, pid: child.pid, load_ms: Math.round(readyAt - startedAt) });
      },
      (error: unknown) => {
        if (over.signal.aborted || this.#stop.signal.aborted) return undefined;
        log.error("worker did not become ready", { worker: name, error });
        return child.terminate(this.#options.stopTimeoutMs);
      },
    );
    const status = await child.exit;
    over.abort();
    await readiness;
    this.#lastExitCode = status.code;
    if (!this.#stop.signal.aborted) log.error("worker ended", { worker: name, how: describeExit(child, status) });
    return { code: status.code, lines: child.lastLines(), readyMs: readyAt === undefined ? 0 : now() - readyAt };
  }

  #untilReady(over: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([over, this.#stop.signal, AbortSignal.timeout(this.#options.readyTimeoutMs)]);
    return this.#options.untilReady(signal);
  }

  #enter(phase: WorkerPhase): void {
    this.#phase = phase;
    this.#options.onChange(this.state);
  }
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
