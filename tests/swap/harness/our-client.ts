// Our runtime inside the test process: the client whose answers are compared with those of Dynamo's own client.
import { type Annotated, AppError, decodeDataFrame, errorOf, type InstanceId, stringifyJson } from "@mm-router/protocol";
import { connectRuntime, createLogger, createMetrics, parseConfig, type Runtime, runtimeConfigOf, runtimeFields } from "@mm-router/runtime";
import { addressesOf, type Place } from "@mm-router/testkit";

export async function connectTo(place: Place): Promise<Runtime> {
  const config = parseConfig(runtimeFields, [], addressesOf(place));
  const log = createLogger({ service: "swap-test", level: "error" });
  return connectRuntime(runtimeConfigOf(config, { name: "swap-test", version: "0.0.0" }), { log, metrics: createMetrics() });
}

export interface Target {
  readonly component: string;
  readonly endpoint?: string;
  readonly instanceId: bigint;
}

/** How one call went: the data of its items, and the error that ended it. */
export interface CallOutcome {
  readonly items: readonly unknown[];
  readonly error: AppError | undefined;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Told after each item; throwing ends the call. */
  readonly onItem?: (item: Annotated, count: number) => void | Promise<void>;
}

/** Calls one instance and reads its stream to the end, or to its error. */
export async function callInstance(
  runtime: Runtime,
  place: Place,
  target: Target,
  request: unknown,
  options: CallOptions = {},
): Promise<CallOutcome> {
  const client = runtime
    .endpoint({ namespace: place.namespace, component: target.component, endpoint: target.endpoint ?? "generate" })
    .client();
  const items: unknown[] = [];
  try {
    await client.ready();
    const call = {
      contextId: crypto.randomUUID(),
      body: Buffer.from(stringifyJson(request)),
      signal: options.signal ?? AbortSignal.timeout(30_000),
    };
    const stream = await client.direct(target.instanceId as InstanceId, call);
    for await (const frames of stream) {
      for (const frame of frames) {
        const { item = {} } = decodeDataFrame("json", frame);
        const failure = errorOf(item);
        if (failure !== undefined) return { items, error: failure };
        items.push(item.data);
        await options.onItem?.(item, items.length);
      }
    }
    return { items, error: undefined };
  } catch (error) {
    if (error instanceof AppError) return { items, error };
    throw error;
  } finally {
    client.close();
  }
}

/** Asks an endpoint that answers with one frame of its own form (index and recovery queries). */
export async function askOnce(runtime: Runtime, place: Place, target: Required<Target>, body: Buffer): Promise<Buffer> {
  const client = runtime.endpoint({ namespace: place.namespace, component: target.component, endpoint: target.endpoint }).client();
  try {
    await client.ready();
    const call = { contextId: crypto.randomUUID(), body, signal: AbortSignal.timeout(10_000) };
    const frames: Buffer[] = [];
    for await (const batch of await client.direct(target.instanceId as InstanceId, call)) frames.push(...batch);
    if (frames[0] === undefined) throw new Error(`${target.endpoint} answered nothing`);
    return frames[0];
  } finally {
    client.close();
  }
}
