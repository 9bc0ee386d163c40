import { discoverySuite } from "./discovery.suite.ts";
import { type MemoryDiscovery, MemoryStore } from "./memory-discovery.ts";

discoverySuite("memory discovery", async () => {
  const store = new MemoryStore();
  return {
    connect: async () => store.connect(),
    loseLease: (discovery) => (discovery as MemoryDiscovery).loseLease(),
    close: async () => {},
  };
});
