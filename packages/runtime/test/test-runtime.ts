// Runtimes for the tests of the request plane: real servers, short deadlines, loopback only.
import { randomUUID } from "node:crypto";
import { decodeDataFrame, type EndpointAddress, stringifyJson } from "@mm-router/protocol";
import {
  type Call,
  connectRuntime,
  createLogger,
  createMetrics,
  type RequestPlaneConfig,
  requestPlaneDefaults,
  type ResponseStream,
  type Runtime,
} from "@mm-router/runtime";

export interface Servers {
  readonly nats: { readonly url: string };
  readonly etcd: { readonly url: string };
}

export interface TestRuntime extends Runtime, AsyncDisposable {
  /** JSON log lines. */
  readonly lines: string[];
}

/** @param changes of the request plane's config, plane included */
export async function startRuntime(servers: Servers, changes: Partial<RequestPlaneConfig> = {}): Promise<TestRuntime> {
  const lines: string[] = [];
  const log = createLogger({ service: "test", level: "debug", destination: (line) => void lines.push(line) });
  const runtime = await connectRuntime(
    {
      etcd: { endpoints: [servers.etcd.url], leaseTtlS: 10, connectDeadlineMs: 10_000 },
      nats: { servers: servers.nats.url },
      requestPlane: { ...requestPlaneDefaults, host: "127.0.0.1", ...changes },
      service: { name: "test", version: "0.1.0" },
    },
    { log, metrics: createMetrics({ processMetrics: false }) },
  );
  return { ...runtime, lines, [Symbol.asyncDispose]: runtime.close };
}

/** An address of its own for a test. */
export function freshAddress(): EndpointAddress {
  return { namespace: `t-${randomUUID().slice(0, 8)}`, component: "backend", endpoint: "generate" };
}

export function callOf(body: unknown, changes: Partial<Call> = {}): Call {
  return { contextId: randomUUID(), body: Buffer.from(stringifyJson(body)), signal: new AbortController().signal, ...changes };
}

/** `data` of every item, in order. */
export async function dataOf(stream: ResponseStream): Promise<unknown[]> {
  const data: unknown[] = [];
  for await (const bodies of stream) for (const body of bodies) data.push(decodeDataFrame("json", body).item?.data);
  return data;
}
