// Our launcher starts real `python -m dynamo.trtllm` workers (on the stand-in engine), watches, restarts and drains them.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeRunDirectory, startChild } from "@mm-router/cli/infra";
import {
  type EtcdServer,
  modelDir,
  type NatsServer,
  commandLine,
  projectRoot,
  registeredInstances,
  type Release,
  standInEnvironment,
  type StartedProcess,
  startedProcess,
  startEtcd,
  startNats,
  waitFor,
} from "@mm-router/testkit";
import { describeRelease } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";

const endpoint = "launched/trtllm/generate";
const workersMs = 120_000; // two real workers load on two busy cores

for (const release of ["1.0.2", "1.6.1"] as const satisfies readonly Release[]) {
  await describeRelease(`mmr launcher with Dynamo ${release}`, release, () => {
    let nats: NatsServer;
    let etcd: EtcdServer;
    let launcher: StartedProcess;
    const directory = makeRunDirectory(projectRoot);

    const environment = (): Record<string, string> => ({
      PATH: process.env.PATH ?? "",
      HOME: join(directory, "home"),
      NATS_SERVER: nats.url,
      ETCD_ENDPOINTS: etcd.url,
      HF_HUB_OFFLINE: "1",
      DYNAMO_HOME: join(projectRoot, ".cache", "dynamo", release),
      DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "0",
      ...standInEnvironment(release),
    });
    const start = (...args: string[]): StartedProcess => {
      const flags = ["--engine", "trtllm", "--namespace", "launched", "--model", modelDir({ modelType: "qwen2_vl" }), ...args];
      return startedProcess(
        startChild({
          name: "mmr launcher",
          command: process.execPath,
          args: [commandLine, "launcher", ...flags],
          environment: environment(),
          onLine: (line) => line.startsWith('{"ts"') && told.push(line),
        }),
      );
    };
    const workers = (): Promise<readonly bigint[]> => registeredInstances(etcd.url, endpoint);
    /** Log lines of launchers, all of them: those of their workers stand between, more than are kept of a child. */
    const told: string[] = [];
    /** Facts of those with this phrase, oldest first. */
    const logged = (msg: string): Record<string, unknown>[] =>
      told.filter((line) => line.includes(`"msg":"${msg}"`)).map((line) => JSON.parse(line) as Record<string, unknown>);

    beforeAll(async () => {
      mkdirSync(join(directory, "home"), { recursive: true });
      nats = await startNats();
      etcd = await startEtcd();
      launcher = start("--gpus", "0,1", "--workers", "2");
    });
    afterAll(async () => {
      await launcher[Symbol.asyncDispose]();
      await Promise.all([nats.stop(), etcd.stop()]);
      rmSync(directory, { recursive: true, force: true });
    });

    it("brings up as many registered workers as asked for, each warmed with an image", { timeout: workersMs }, async () => {
      const what = { what: "two ready workers", deadlineMs: workersMs, child: launcher.child };
      await waitFor(what, async () => logged("worker ready").length === 2 || undefined);
      expect(await workers()).toHaveLength(2);
      expect(logged("warm-up image failed; the worker serves, its image keys are unproven")).toEqual([]);
    });

    it("starts a killed worker again and has it registered under a new id", { timeout: workersMs }, async () => {
      const before = await workers();
      process.kill(Number(logged("worker ready")[0]!.pid), "SIGKILL");
      const what = { what: "a third start", deadlineMs: workersMs, child: launcher.child };
      await waitFor(what, async () => logged("worker ready").length === 3 || undefined);
      expect((await workers()).filter((id) => !before.includes(id))).toHaveLength(1);
    });

    it("drains its workers on SIGTERM, leaves no record behind and exits with 0", { timeout: workersMs }, async () => {
      launcher.child.signal("SIGTERM");
      expect(await launcher.child.exit).toEqual({ code: 0, signal: null });
      const what = { what: "the records to be gone", deadlineMs: 90_000 }; // that of the killed one goes with its lease
      await waitFor(what, async () => (await workers()).length === 0 || undefined);
    });

    it("says which GPUs are missing and exits with 2", async () => {
      const refused = start("--gpus", "0", "--workers", "2");
      expect((await refused.child.exit).code).toBe(2);
      expect(refused.child.lastLines().join("\n")).toContain("2 workers need 2 GPUs and 1 are there");
    });
  });
}
