import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseConfig } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { planStack, type StackPlanInput } from "./plan.ts";
import { launchFields } from "./settings.ts";

const input = (env: Record<string, string> = {}, engine: "trtllm" | "simulated" = "simulated"): StackPlanInput => ({
  settings: parseConfig(launchFields, [], env),
  engine,
  modelFolder: "/models/qwen",
  adminPort: 8001,
  natsUrl: "nats://h:4222",
  etcdUrl: "http://h:2379",
  environment: { PATH: "/usr/bin", DYN_SYSTEM_PORT: "9090" },
});

describe("planStack", () => {
  it("starts upstream's topology by default: two workers under a hidden name, one router under the public one", () => {
    const plan = planStack(input());
    expect(plan.launcher.argv).toEqual(
      expect.arrayContaining(["--workers", "2", "--served-model-name", "Qwen/Qwen2-VL-2B-Instruct__internal"]),
    );
    expect(plan.routers).toHaveLength(1);
    expect(plan.routers[0]!.argv).toEqual(
      expect.arrayContaining(["--served-model-name", "Qwen/Qwen2-VL-2B-Instruct", "--block-size", "32"]),
    );
    expect(plan.frontend.argv).toEqual([
      "frontend",
      "--http-port",
      "8000",
      "--admin-host",
      "127.0.0.1",
      "--admin-port",
      "8001",
      "--namespace",
      "default",
    ]);
  });

  it("gives every process the same NATS, etcd and planes, and no shared status port", () => {
    const { launcher, indexer, routers, frontend } = planStack(input({ NUM_ROUTERS: "3", DYN_REQUEST_PLANE: "tcp" }));
    for (const { environment } of [launcher, indexer, ...routers, frontend]) {
      expect(environment).toMatchObject({
        NATS_SERVER: "nats://h:4222",
        ETCD_ENDPOINTS: "http://h:2379",
        DYN_REQUEST_PLANE: "tcp",
        DYN_EVENT_PLANE: "nats",
      });
      expect(environment.DYN_SYSTEM_PORT).toBeUndefined();
    }
    expect(routers.map(({ name }) => name)).toEqual(["mm-router-0", "mm-router-1", "mm-router-2"]);
  });

  it("lets several routers share their load, and one alone tell nobody", () => {
    const sharing = (routers: string): boolean[] =>
      planStack(input({ NUM_ROUTERS: routers })).routers.map(({ argv }) => argv.includes("--router-replica-sync"));
    expect([sharing("1"), sharing("2")]).toEqual([[false], [true, true]]);
  });

  it("gives real workers the model as the user named it, and simulated ones the folder", () => {
    expect(planStack(input({}, "trtllm")).launcher.argv).toContain("Qwen/Qwen2-VL-2B-Instruct");
    expect(planStack(input()).launcher.argv).toContain("/models/qwen");
  });

  it("shares one GPU with GPU_ID and gives each worker its own with GPU_IDS", () => {
    expect(planStack(input({ GPU_ID: "3" }, "trtllm")).launcher.argv.slice(-4)).not.toContain("--gpus");
    expect(planStack(input({ GPU_ID: "3" }, "trtllm")).launcher.argv).toEqual(expect.arrayContaining(["--shared-gpu", "3"]));
    expect(planStack(input({ GPU_IDS: "1,2", GPU_ID: "3" }, "trtllm")).launcher.argv).toEqual(expect.arrayContaining(["--gpus", "1,2"]));
  });
});

describe("deploy/docker-compose.yml", () => {
  interface Service {
    command: string[];
    entrypoint?: string[];
    /** Of our services. */
    environment?: Record<string, string>;
  }
  const file = join(import.meta.dirname, "..", "..", "..", "..", "deploy", "docker-compose.yml");
  const compose = parse(readFileSync(file, "utf8"), { merge: true }) as {
    services: Record<string, Service>;
    configs: { nats: { content: string } };
  };
  /** `${NAME:-default}` → default. */
  const plain = (text: string): string => text.replace(/\$\{\w+:-([^}]*)\}/g, "$1");
  const flagsOf = (argv: readonly string[]): string[] =>
    argv
      .map(plain)
      .filter((argument) => argument.startsWith("--"))
      .sort();
  const plan = planStack(input());

  it.each([
    ["indexer", plan.indexer],
    ["mm-router", plan.routers[0]!],
    ["frontend", plan.frontend],
  ])("starts %s with the flags and variables that launch.sh gives it", (name, planned) => {
    const service = compose.services[name]!;
    expect(service.command[0]).toBe(planned.argv[0]);
    expect(flagsOf(service.command)).toEqual(flagsOf(planned.argv));
    for (const [variable, value] of Object.entries(service.environment!)) {
      if (variable !== "MALLOC_ARENA_MAX") expect(planned.environment, `${name}: ${variable}`).toHaveProperty(variable);
      if (variable.startsWith("DYN_") || variable.startsWith("MMR_")) expect(plain(value)).toBe(planned.environment[variable]);
    }
  });

  it("starts each service with the flags and the allocator that ./mmr gives it", () => {
    const wrapper = readFileSync(join(import.meta.dirname, "..", "..", "..", "..", "mmr"), "utf8");
    const [, tuned, arenas, tunedFlags] = /^ {2}([a-z-]+)\)\s+export MALLOC_ARENA_MAX=.*:-(\d+).*\s+flags="([^"]+)" ;;/m.exec(wrapper)!;
    for (const [name, { entrypoint, environment }] of Object.entries(compose.services).filter(([, { command }]) => command !== undefined)) {
      const started = [entrypoint?.slice(1, -1).join(" "), environment?.["MALLOC_ARENA_MAX"]];
      expect([name, ...started]).toEqual([name, ...(name === tuned ? [tunedFlags, Number(arenas)] : [undefined, undefined])]);
    }
    expect(tuned).toBe("mm-router");
  });

  it("runs NATS with JetStream and room for inline images", () => {
    expect(compose.configs.nats.content).toMatch(/max_payload: 8MB/);
    expect(compose.configs.nats.content).toMatch(/jetstream/);
  });
});

describe("deploy/observability", () => {
  const folder = join(import.meta.dirname, "..", "..", "..", "..", "deploy");
  const yamlOf = (file: string) => parse(readFileSync(join(folder, file), "utf8"), { merge: true });
  const base = yamlOf("docker-compose.yml") as { services: Record<string, { command: string[] }> };
  const added = yamlOf("observability/docker-compose.yml") as { services: Record<string, { environment?: Record<string, string> }> };
  const { scrape_configs: jobs } = yamlOf("observability/prometheus.yml") as {
    scrape_configs: { static_configs?: { targets: string[] }[]; dns_sd_configs?: { names: string[]; port: number }[] }[];
  };

  it("scrapes services of the compose file at the ports where they answer", () => {
    const fixed = jobs.flatMap((job) => (job.static_configs ?? []).flatMap(({ targets }) => targets));
    const replicas = jobs.flatMap((job) => (job.dns_sd_configs ?? []).flatMap(({ names, port }) => names.map((name) => `${name}:${port}`)));
    const answering = ["indexer", "mm-router"].map((name) => `${name}:${added.services[name]!.environment!["DYN_SYSTEM_PORT"]}`);
    const frontend = base.services["frontend"]!.command;
    expect([...fixed, ...replicas].sort()).toEqual([...answering, `frontend:${frontend[frontend.indexOf("--http-port") + 1]}`].sort());
  });
});
