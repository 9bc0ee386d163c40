// The service shell from outside: a real process, real signals, real exit codes.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { parseJson } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";

const fixture = join(import.meta.dirname, "fixtures", "shell-service.ts");

interface LogLine {
  readonly msg: string;
  readonly level: string;
  readonly [fact: string]: unknown;
}

/** The fixture as a process, its log read as it comes. */
class Shell implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly exit: Promise<{ code: number | null; stdout: string }>;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #waiting = new Map<string, (line: LogLine) => void>();

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [fixture, ...args], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    createInterface(this.#child.stderr).on("line", (line) => this.#read(line));
    const output = this.#child.stdout.setEncoding("utf8").toArray() as Promise<string[]>;
    this.exit = once(this.#child, "close").then(async ([code]) => ({ code, stdout: (await output).join("") }));
  }

  /** The next line with this phrase; ends with an error when the process does. */
  async says(msg: string): Promise<LogLine> {
    const said = Promise.withResolvers<LogLine>();
    const before = this.lines.find((line) => line.includes(`"msg":"${msg}"`));
    if (before !== undefined) return parse(before);
    this.#waiting.set(msg, said.resolve);
    const ended = this.exit.then(() => Promise.reject(new Error(`ended without saying "${msg}":\n${this.lines.join("\n")}`)));
    return await Promise.race([said.promise, ended]);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async exitCode(): Promise<number | null> {
    return (await this.exit).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    await this.exit;
  }

  #read(line: string): void {
    this.lines.push(line);
    if (!line.startsWith("{")) return;
    const record = parse(line);
    this.#waiting.get(record.msg)?.(record);
  }
}

function parse(line: string): LogLine {
  return parseJson(line) as unknown as LogLine;
}

describe.concurrent("the service shell", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("closes the service and exits 0 on %s", async (name) => {
    await using shell = new Shell([]);
    await shell.says("ready");
    shell.signal(name);
    await shell.says("closed");
    expect(await shell.exitCode()).toBe(0);
  });

  it("exits at once with 1 on a second signal while the first is drained", async () => {
    await using shell = new Shell(["--close-hangs"]);
    await shell.says("ready");
    shell.signal("SIGTERM");
    await shell.says("closing");
    shell.signal("SIGTERM");
    expect(await shell.exitCode()).toBe(1);
  });

  it("cuts a drain off at the shutdown deadline, says so, and exits 0", async () => {
    await using shell = new Shell(["--close-hangs"], { MMR_SHUTDOWN_DEADLINE_SECS: "0.2" });
    await shell.says("ready");
    shell.signal("SIGTERM");
    expect(await shell.says("not closed properly")).toMatchObject({ error: { code: "deadline_exceeded" } });
    expect(await shell.exitCode()).toBe(0);
  });

  it("exits 0 when told to stop during its start", async () => {
    await using shell = new Shell(["--start-hangs"]);
    await shell.says("starting");
    shell.signal("SIGTERM");
    expect(await shell.exitCode()).toBe(0);
  });

  it("exits with the code of what its start failed with", async () => {
    await using shell = new Shell(["--start-error=dependency_unreachable"]);
    expect(await shell.says("ending after an error")).toMatchObject({ error: { code: "dependency_unreachable", message: "told to fail" } });
    expect(await shell.exitCode()).toBe(3);
  });

  it("closes the service and exits with the error's code when the service ends by itself", async () => {
    await using shell = new Shell(["--end-error=configuration"]);
    await shell.says("closed");
    expect(await shell.exitCode()).toBe(2);
  });

  it("exits 1 when the close fails", async () => {
    await using shell = new Shell(["--close-fails"]);
    await shell.says("ready");
    shell.signal("SIGTERM");
    expect(await shell.exitCode()).toBe(1);
  });

  it("logs a rejection that nobody handles and exits 1", async () => {
    await using shell = new Shell(["--rejects"]);
    expect(await shell.says("bug: nobody handled this error")).toMatchObject({
      origin: "unhandledRejection",
      error: { message: "nobody cares" },
    });
    expect(await shell.exitCode()).toBe(1);
  });

  it("says in one line what is wrong with the command line and exits 2", async () => {
    await using shell = new Shell(["--start-hang"]);
    expect(await shell.exitCode()).toBe(2);
    expect(shell.lines).toEqual(["mmr shell-service: unknown flag --start-hang, did you mean --start-hangs?"]);
  });

  it("prints its help on standard output and exits 0", async () => {
    await using shell = new Shell(["--help"]);
    const { code, stdout } = await shell.exit;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: mmr shell-service \[flags\] \[-- …\]/);
    expect(stdout).toContain("DYN_SYSTEM_PORT");
  });

  it("logs its settings once, secrets left out, and hands on what stands behind --", async () => {
    await using shell = new Shell(["--", "--model", "x"], { SHELL_PASSWORD: "hunter2" });
    const { config } = await shell.says("starting");
    expect(config).toMatchObject({ password: "[redacted]", systemPort: -1 });
    expect(await shell.says("created")).toMatchObject({ password: 7, pass_through: ["--model", "x"] });
    expect(shell.lines.join()).not.toContain("hunter2");
  });

  it("answers its probes with 503 until it is ready, then with 200 and its endpoints", async () => {
    await using hanging = new Shell(["--start-hangs"], { DYN_SYSTEM_PORT: "0" });
    await using ready = new Shell([], { DYN_SYSTEM_PORT: "0" });
    await ready.says("ready");
    expect(await probe(await ready.says("status server"))).toMatchObject({ status: 200, body: { endpoints: { generate: "ready" } } });
    expect(await probe(await hanging.says("status server"))).toMatchObject({ status: 503, body: { status: "notready" } });
  });
});

async function probe({ status_port }: LogLine): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`http://127.0.0.1:${status_port}/health`);
  return { status: answer.status, body: parseJson(await answer.text()) };
}
