// What a NATS server says of itself: the INFO line that greets every connection, before any login.
import { once } from "node:events";
import { connect } from "node:net";
import type { NatsConfig } from "@mm-router/runtime";
import type { Finding } from "./diagnosis.ts";

const timeoutMs = 3_000;
/** An inline image travels twice in a request; with the default of 1 MiB one of 380 kB no longer fits (wire.md §5). */
const payloadWanted = 8 * 1024 * 1024;
/** Dynamo 0.9.1 finds no JetStream on 2.9. */
const versionWanted = [2, 10] as const;

export interface NatsInfo {
  readonly version: string;
  readonly jetstream?: boolean;
  /** Bytes. */
  readonly max_payload: number;
}

/** One finding per server and fault. Never rejects. */
export async function natsFindings({ servers }: Pick<NatsConfig, "servers">): Promise<Finding[]> {
  const findings = await Promise.all(servers.split(",").map((server) => serverFindings(server.trim())));
  return findings.flat();
}

async function serverFindings(server: string): Promise<Finding[]> {
  try {
    return judgeNats(server, await askInfo(server));
  } catch (error) {
    return [
      {
        level: "error",
        sentence: `NATS at ${server}: ${(error as Error).message}`,
        remedy: "start nats-server with -js, or set NATS_SERVER",
      },
    ];
  }
}

/** Pure part of `natsFindings`. */
export function judgeNats(server: string, { version, jetstream, max_payload }: NatsInfo): Finding[] {
  const findings: Finding[] = [{ level: "ok", sentence: `NATS ${version} at ${server} answers` }];
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < versionWanted[0] || (major === versionWanted[0] && minor < versionWanted[1])) {
    findings.push({ level: "warning", sentence: `NATS ${version} is too old for Dynamo 0.9 workers`, remedy: "run NATS 2.10 or newer" });
  }
  if (jetstream !== true)
    findings.push({ level: "error", sentence: "JetStream is off: KV events cannot be kept", remedy: "start nats-server with -js" });
  if (max_payload < payloadWanted) {
    findings.push({
      level: "warning",
      sentence: `max_payload is ${max_payload} bytes: requests with inline images of more than about ${Math.floor(max_payload / 2.76 / 1000)} kB do not fit`,
      remedy: "set max_payload: 8MB in the server's configuration, or run the request plane on TCP",
    });
  }
  return findings;
}

async function askInfo(server: string): Promise<NatsInfo> {
  const url = new URL(server.includes("://") ? server : `nats://${server}`);
  const socket = connect({ host: url.hostname, port: Number(url.port || 4222) });
  try {
    const [greeting] = (await once(socket, "data", { signal: AbortSignal.timeout(timeoutMs) })) as [Buffer];
    const line = greeting.toString("utf8").split("\r\n")[0]!;
    if (!line.startsWith("INFO ")) throw new Error("answers, but not as a NATS server");
    return JSON.parse(line.slice("INFO ".length)) as NatsInfo;
  } finally {
    socket.destroy();
  }
}
