// One story's cast: a process with a key, another that follows, and the truth beside them.
import type { EtcdServer } from "@mm-router/testkit/infra";
import { Follower } from "../src/discovery/discovery.suite.ts";
import type { Discovery, EtcdConfig } from "../src/discovery/discovery.ts";
import { connectDiscovery } from "../src/discovery/etcd-discovery.ts";
import { createLogger } from "../src/service/log.ts";
import { EtcdGateway } from "./etcd-gateway.ts";

export const quiet = createLogger({ service: "test", level: "error", destination: () => {} });

/** Seconds; the shortest that etcd grants. */
export const shortTtlS = 2;

export function etcdConfig(url: string, overrides: Partial<EtcdConfig> = {}): EtcdConfig {
  return { endpoints: [url], leaseTtlS: shortTtlS, connectDeadlineMs: 10_000, ...overrides };
}

export interface EtcdCell extends AsyncDisposable {
  readonly gateway: EtcdGateway;
  /** Owns the key `s/own-<id>`. */
  readonly discovery: Discovery;
  /** Of another process, so that it is told what others are told. */
  readonly follower: Follower;
  /** What the follower shows at the start. */
  readonly keys: Readonly<Record<string, string>>;
}

export async function etcdCell(etcd: EtcdServer, leaseTtlS: number): Promise<EtcdCell> {
  const gateway = new EtcdGateway(etcd.url);
  const discovery = await connectDiscovery(etcdConfig(etcd.url, { leaseTtlS }), { log: quiet });
  const observer = await connectDiscovery(etcdConfig(etcd.url), { log: quiet });
  await gateway.put("s/old", "1"); // without a lease: stays until it is deleted
  await discovery.register((id) => ({ key: `s/own-${id}`, value: "2" }));
  const keys = { "s/old": "1", [`s/own-${discovery.instanceId}`]: "2" };
  const follower = new Follower(observer, "s/");
  await follower.shows(keys);
  const close = async (): Promise<void> => {
    await discovery.close();
    await observer.close();
    await gateway.delete("s/old");
  };
  return { gateway, discovery, follower, keys, [Symbol.asyncDispose]: close };
}
