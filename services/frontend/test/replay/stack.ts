// A frontend in this process over real NATS and etcd, with workers of our runtime.
import { randomUUID } from "node:crypto";
import {
  connectRuntime,
  createLogger,
  createMetrics,
  parseConfig,
  type Runtime,
  runtimeConfigOf,
  runtimeFields,
  noTracer,
} from "@mm-router/runtime";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { createFrontend, type Frontend, frontendFields } from "../../src/index.ts";

const service = { name: "frontend-test", version: "0" };

export class Stack implements AsyncDisposable {
  readonly nats: NatsServer;
  readonly etcd: EtcdServer;
  /** A name of its own for what this test registers. */
  readonly namespace = `test-${randomUUID().slice(0, 8)}`;
  readonly #closers: (() => Promise<void>)[] = [];

  private constructor(nats: NatsServer, etcd: EtcdServer) {
    this.nats = nats;
    this.etcd = etcd;
  }

  static async start(): Promise<Stack> {
    const [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
    return new Stack(nats, etcd);
  }

  get environment(): Record<string, string> {
    return { NATS_SERVER: this.nats.url, ETCD_ENDPOINTS: this.etcd.url, DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "0" };
  }

  async frontend(argv: readonly string[] = [], environment: Record<string, string> = {}): Promise<Frontend & { readonly url: string }> {
    const config = parseConfig(frontendFields, ["--http-port=0", "--http-host=127.0.0.1", ...argv], {
      ...this.environment,
      ...environment,
    });
    const frontend = await createFrontend(config, {
      ...this.#deps(),
      tracer: noTracer,
      signal: new AbortController().signal,
      service,
      passThrough: [],
      environment: this.environment,
    });
    this.#closers.push(() => frontend.close());
    return Object.assign(frontend, { url: `http://127.0.0.1:${frontend.port}` });
  }

  /** A process's place in the cluster, for workers. */
  async runtime(environment: Record<string, string> = {}): Promise<Runtime> {
    const config = parseConfig(runtimeFields, [], { ...this.environment, ...environment });
    const runtime = await connectRuntime(runtimeConfigOf(config, service), this.#deps());
    this.#closers.push(() => runtime.close());
    return runtime;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers.toReversed()) await close();
    await Promise.all([this.nats.stop(), this.etcd.stop()]);
  }

  #deps() {
    const level = process.env["MMR_TEST_LOG"] === undefined ? "error" : "debug";
    return { log: createLogger({ service: service.name, level }), metrics: createMetrics({ processMetrics: false }) };
  }
}
