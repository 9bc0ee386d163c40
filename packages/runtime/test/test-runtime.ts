// Runtimes for the tests of the request plane: real servers, short deadlines, loopback only.
import { randomUUID } from "node:crypto";
import { type Annotated, decodeDataFrame, type EndpointAddress, stringifyJson } from "@mm-router/protocol";
import {
  type Call,
  connectRuntime,
  createLogger,
  createMetrics,
  type EndpointClient,
  type Handler,
  type Metrics,
  type RequestPlaneConfig,
  type ResponseStream,
  type Runtime,
  requestPlaneDefaults,
  type ServedEndpoint,
} from "@mm-router/runtime";

export interface Servers {
  readonly nats: { readonly url: string };
  readonly etcd: { readonly url: string };
}

export interface TestRuntime extends Runtime, AsyncDisposable {
  /** JSON log lines. */
  readonly lines: string[];
  readonly metrics: Metrics;
}

/** @param changes of the request plane's config, plane included */
export async function startRuntime(servers: Servers, changes: Partial<RequestPlaneConfig> = {}): Promise<TestRuntime> {
  const lines: string[] = [];
  const log = createLogger({ service: "test", level: "debug", destination: (line) => void lines.push(line) });
  const metrics = createMetrics({ processMetrics: false });
  const runtime = await connectRuntime(
    {
      etcd: { endpoints: [servers.etcd.url], leaseTtlS: 10, connectDeadlineMs: 10_000 },
      nats: { servers: servers.nats.url },
      requestPlane: { ...requestPlaneDefaults, host: "127.0.0.1", ...changes },
      service: { name: "test", version: "0.1.0" },
    },
    { log, metrics },
  );
  return { ...runtime, lines, metrics, [Symbol.asyncDispose]: runtime.close };
}

/** An address of its own for a test. */
export function freshAddress(): EndpointAddress {
  return { namespace: `t-${randomUUID().slice(0, 8)}`, component: "backend", endpoint: "generate" };
}

/** Serves a handler and follows it, ready to be called. */
export async function serveAndFollow(runtime: Runtime, handler: Handler): Promise<{ served: ServedEndpoint; client: EndpointClient }> {
  const endpoint = runtime.endpoint(freshAddress());
  const served = await endpoint.serve(handler);
  const client = endpoint.client();
  await untilInstances(client, 1);
  return { served, client };
}

/** Waits until the client knows that many instances. */
export async function untilInstances(client: EndpointClient, count: number): Promise<void> {
  await client.ready();
  while (client.instances.list().length !== count) await nextChange(client);
}

/** Resolves at the next change of the client's instances. */
async function nextChange(client: EndpointClient): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = client.instances.onChange(resolve);
  await promise;
  stop();
}

export function callOf(body: unknown, changes: Partial<Call> = {}): Call {
  return { contextId: randomUUID(), body: Buffer.from(stringifyJson(body)), signal: new AbortController().signal, ...changes };
}

export async function itemsOf(stream: ResponseStream): Promise<Annotated[]> {
  const items: Annotated[] = [];
  for await (const bodies of stream) items.push(...bodies.map((body) => decodeDataFrame("json", body).item!));
  return items;
}

/** `data` of every item, in order. */
export async function dataOf(stream: ResponseStream): Promise<unknown[]> {
  return (await itemsOf(stream)).map((item) => item.data);
}

/** What a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("was expected to reject");
    },
    (error: unknown) => error,
  );
}
