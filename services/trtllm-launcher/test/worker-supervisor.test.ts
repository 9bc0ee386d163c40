// Real processes (small Node scripts in the worker's place), real signals.
import { existsSync, readFileSync } from "node:fs";
import { createLogger } from "@mm-router/runtime";
import { afterEach, describe, expect, it } from "vitest";
import { type WorkerState, WorkerSupervisor } from "../src/worker-supervisor.ts";

const started: WorkerSupervisor[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((supervisor) => supervisor.stop(0)));
});

interface Watched {
  readonly supervisor: WorkerSupervisor;
  /** Resolves when the worker's state fits. */
  until(fits: (state: WorkerState) => boolean): Promise<WorkerState>;
  readonly lines: string[];
}

/** @param script what the worker's process runs; it is ready when it prints "ready" */
function supervise(script: string, stopTimeoutMs = 10_000): Watched {
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let announce = (): void => {};
  const supervisor: WorkerSupervisor = new WorkerSupervisor({
    name: "worker-0",
    command: { command: process.execPath, args: ["-e", script], environment: { PATH: process.env.PATH } },
    log: createLogger({ service: "test", level: "error", destination: () => {} }),
    onLine: (line) => {
      lines.push(line);
      if (line === "ready") announce();
    },
    untilReady: (signal) =>
      new Promise((resolve, reject) => {
        announce = resolve;
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
    readyTimeoutMs: 30_000,
    stopTimeoutMs,
    now: () => performance.now(),
    onChange: () => waiting.forEach((look) => look()),
  });
  started.push(supervisor);
  return {
    supervisor,
    lines,
    until(fits) {
      const { promise, resolve } = Promise.withResolvers<WorkerState>();
      const look = (): void => {
        if (fits(supervisor.state)) resolve(supervisor.state);
      };
      waiting.add(look);
      look();
      return promise.finally(() => waiting.delete(look));
    },
  };
}

const serving = `console.log("ready"); setInterval(() => {}, 1000);`;

/** A killed process whose new parent does not reap it stays as a zombie: that one is dead, too. */
function isAlive(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/\) [ZX] /.test(readFileSync(path, "utf8"));
}

describe("WorkerSupervisor", () => {
  it("starts a killed worker again, under a new process", async () => {
    const { until } = supervise(serving);
    const first = await until(({ phase }) => phase === "ready");
    process.kill(first.pid!, "SIGKILL");
    const second = await until(({ phase, restarts }) => phase === "ready" && restarts === 1);
    expect(second.pid).not.toBe(first.pid);
  });

  it("starts a worker again that left with code 0 unasked", async () => {
    const { until } = supervise(`console.log("ready"); setTimeout(() => process.exit(0), 50);`);
    expect((await until(({ restarts }) => restarts === 1)).lastExitCode).toBe(0);
  });

  it("gives up at once when the command line is refused, and says why", async () => {
    const { supervisor } = supervise(`process.exit(2)`);
    await supervisor.ended;
    expect(supervisor.state).toMatchObject({ phase: "gave-up", restarts: 0, lastExitCode: 2 });
    expect(supervisor.state.reason).toContain("command line");
  });

  it("lets a worker drain after TERM and does not start it again", async () => {
    const drain = `process.on("SIGTERM", () => setTimeout(() => { console.log("drained"); process.exit(0); }, 100));`;
    const { supervisor, until, lines } = supervise(`${drain} ${serving}`);
    await until(({ phase }) => phase === "ready");
    await supervisor.stop();
    expect(lines).toContain("drained");
    expect(supervisor.state).toMatchObject({ phase: "stopped", restarts: 0 });
  });

  it("kills a worker that ignores TERM together with the children it started", async () => {
    const child = `require("node:child_process").spawn(process.execPath, ["-e", "process.on('SIGTERM',()=>{});setInterval(()=>{},1000)"])`;
    const { supervisor, until, lines } = supervise(`process.on("SIGTERM", () => {}); console.log(${child}.pid); ${serving}`, 200);
    await until(({ phase }) => phase === "ready");
    const grandchild = Number(lines[0]);
    expect(isAlive(grandchild)).toBe(true);
    await supervisor.stop();
    await expect.poll(() => isAlive(grandchild), { timeout: 30_000 }).toBe(false);
  });
});
