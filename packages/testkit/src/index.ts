// What tests and benchmarks start and stop. `./requires` is apart: it needs a running vitest.
export * from "./cluster.ts";
export * from "./dynamo.ts";
export * from "./engine-model.ts";
export * from "./engine-venv.ts";
export * from "./engine-worker.ts";
export * from "./etcd-view.ts";
export * from "./failure-report.ts";
export * from "./fault-proxy.ts";
export * from "./golden.ts";
export * from "./image-server.ts";
export * from "./infra.ts";
export * from "./missing.ts";
export * from "./model-dir.ts";
export * from "./our-process.ts";
export * from "./picture.ts";
export * from "./project-root.ts";
export * from "./wait-for.ts";
