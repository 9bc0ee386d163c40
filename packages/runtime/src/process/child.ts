// A child process in a group of its own, with the last of what it said.
//
//   startChild ─► running ─┬─ terminate(graceMs): TERM to the process ─► still there: KILL to its group
//                          └─ exits by itself                            ─► exit resolves, rest of the group is killed
//
// I1  TERM goes to the process alone (an engine's own children must drain under it), KILL to the whole group.
// I2  After `exit` no process of the group is left, unless it made a session of its own.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Environment } from "../service/config.ts";
import { guardGroup, releaseGroup } from "./process-guard.ts";

/** How long the output of an ended process is waited for. */
const lastWordsMs = 500;

export interface ChildOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the child, not an addition to ours. */
  readonly environment: Environment;
  readonly cwd?: string;
  /** Lines of output kept for a failure report. Default 200: a Python traceback and what led to it. */
  readonly linesMax?: number;
  /** Called for each line of stdout and stderr. */
  readonly onLine?: (line: string) => void;
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The command could not be started at all. */
  readonly error?: Error;
}

export interface Child {
  readonly name: string;
  /** Also the id of its process group; undefined when it could not be started. */
  readonly pid: number | undefined;
  readonly running: boolean;
  /** Resolves when the process has ended; never rejects. */
  readonly exit: Promise<ExitStatus>;
  /** The last lines of stdout and stderr, oldest first. */
  lastLines(): readonly string[];
  /** Signals the process alone; nothing happens when it has ended. */
  signal(signal: NodeJS.Signals): void;
  /** Signals the process and all it started. */
  signalGroup(signal: NodeJS.Signals): void;
  /** TERM, then KILL to the group after `graceMs` (I1). */
  terminate(graceMs: number): Promise<ExitStatus>;
}

/** Starts a process in its own group; the group ends with this process at the latest. */
export function startChild(options: ChildOptions): Child {
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: { ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const pid = child.pid;
  if (pid !== undefined) guardGroup(pid);

  const lines: string[] = [];
  const keep = (line: string): void => {
    lines.push(line);
    if (lines.length > (options.linesMax ?? 200)) lines.shift();
    options.onLine?.(line);
  };
  readLines(child.stdout, keep);
  readLines(child.stderr, keep);

  let running = pid !== undefined;
  const ended = Promise.withResolvers<ExitStatus>();
  child.on("error", (error) => ended.resolve({ code: null, signal: null, error }));
  child.on("exit", (code, signal) => {
    running = false;
    signalQuietly(pid, "SIGKILL"); // I2
    if (pid !== undefined) releaseGroup(pid);
    // Its last words may still be in the pipe; one that left the group may hold the pipe open for ever.
    const timer = setTimeout(() => ended.resolve({ code, signal }), lastWordsMs);
    child.on("close", () => {
      clearTimeout(timer);
      ended.resolve({ code, signal });
    });
  });

  const signalGroup = (signal: NodeJS.Signals): void => {
    if (running) signalQuietly(pid, signal);
  };
  return {
    name: options.name,
    pid,
    get running() {
      return running;
    },
    exit: ended.promise,
    lastLines: () => lines,
    signal: (signal) => void (running && child.kill(signal)),
    signalGroup,
    async terminate(graceMs) {
      if (running) child.kill("SIGTERM");
      const timer = setTimeout(() => signalGroup("SIGKILL"), graceMs);
      const status = await ended.promise;
      clearTimeout(timer);
      return status;
    },
  };
}

function readLines(stream: Readable, keep: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", keep);
}

function signalQuietly(groupId: number | undefined, signal: NodeJS.Signals): void {
  if (groupId === undefined) return;
  try {
    process.kill(-groupId, signal);
  } catch {
    // ESRCH: the last process of the group has ended in the meantime
  }
}

/** One sentence for a child that ended too early, with the last it said: the first thing a user needs to see. */
export function describeExit(child: Child, status: ExitStatus): string {
  const how = status.error?.message ?? (status.signal === null ? `exit code ${status.code}` : `signal ${status.signal}`);
  const tail = child.lastLines().slice(-20).join("\n");
  return `${child.name} ended (${how})${tail === "" ? "" : `; its last lines:\n${tail}`}`;
}
