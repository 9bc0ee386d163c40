export type { Discovery, EtcdConfig, Registration, RegistrationEntry, Watch, WatchListener } from "./discovery.ts";
export { connectDiscovery, type DiscoveryDeps } from "./etcd-discovery.ts";
export { MemoryDiscovery, MemoryStore } from "./memory-discovery.ts";
export * from "./listed-keys.ts";
