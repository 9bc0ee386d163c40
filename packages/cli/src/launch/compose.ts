// NATS and etcd from deploy/docker-compose.yml, where a container engine answers.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Environment } from "@mm-router/runtime";
import type { InfraUrls } from "./infra.ts";

const run = promisify(execFile);
const answerTimeoutMs = 5_000;
const upTimeoutMs = 300_000; // two images are pulled the first time

export interface Compose {
  /** Starts both services; undefined when no engine answers. */
  up(): Promise<InfraUrls | undefined>;
  down(): Promise<void>;
}

export function compose(root: string, environment: Environment): Compose {
  const settings = { env: { ...environment } };
  const file = ["compose", "-f", join(root, "deploy", "docker-compose.yml")];
  let isUp = false;
  return {
    async up() {
      try {
        await run("docker", ["info", "--format", "{{.ServerVersion}}"], { ...settings, timeout: answerTimeoutMs });
      } catch {
        return undefined; // no docker, or no engine behind it
      }
      await run("docker", [...file, "up", "-d", "--wait", "nats", "etcd"], { ...settings, timeout: upTimeoutMs });
      isUp = true;
      return { natsUrl: "nats://127.0.0.1:4222", etcdUrl: "http://127.0.0.1:2379" };
    },
    async down() {
      if (isUp) await run("docker", [...file, "down"], { ...settings, timeout: upTimeoutMs });
    },
  };
}
