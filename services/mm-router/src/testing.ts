// Stand-ins for the seams of this service, for its unit tests alone.
import { type Annotated, type AppError, dialectOf, encodeItem, type Instance, type InstanceId } from "@mm-router/protocol";
import type { InstanceSet, Logger, ResponseSink, ResponseStream } from "@mm-router/runtime";
import type { Worker } from "./workers/worker.ts";

export const silentLog: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

/** A log that keeps its lines. */
export function keepingLog(): Logger & { readonly lines: { level: string; msg: string; facts: Record<string, unknown> }[] } {
  const lines: { level: string; msg: string; facts: Record<string, unknown> }[] = [];
  const at =
    (level: string) =>
    (msg: string, facts: Record<string, unknown> = {}) =>
      void lines.push({ level, msg, facts });
  const log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), lines, child: () => log };
  return log;
}

/** Ids like real ones, beyond 2^53. */
export function idOf(n: number): InstanceId {
  return (8_328_741_188_661_731_592n + BigInt(n)) as InstanceId;
}

export function workerOfRelease(release: string, n: number, facts: Partial<Worker> = {}): Worker {
  const instanceId = idOf(n);
  const dialect = dialectOf(release);
  return {
    instanceId,
    modelName: "m__internal",
    dialect,
    imageDialect: dialect.imageDialect,
    ranks: [{ workerId: instanceId, dpRank: 0 }],
    isEagle: false,
    blockSize: 4,
    kvBlocks: undefined,
    batchTokensMax: undefined,
    promptTokensMax: undefined,
    ...facts,
  };
}

export function frameOf(item: Annotated): Buffer {
  return encodeItem("json", item);
}

export function tokensFrame(...tokenIds: number[]): Buffer {
  return frameOf({ data: { token_ids: tokenIds, index: 0 } });
}

/** A worker's stream: batches, then the end or an error. */
export function streamOf(batches: readonly (readonly Buffer[])[], error?: AppError): ResponseStream & { cancelled: boolean } {
  return {
    instanceId: idOf(1),
    cancelled: false,
    cancel() {
      this.cancelled = true;
    },
    async *[Symbol.asyncIterator]() {
      yield* batches;
      if (error !== undefined) throw error;
    },
  };
}

/** Instances as a test says. */
export class ScriptedInstances implements InstanceSet {
  private readonly instances = new Map<InstanceId, Instance>();
  private readonly aside = new Set<InstanceId>();
  private readonly listeners = new Set<() => void>();

  list(): readonly Instance[] {
    return [...this.instances.values()].sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1));
  }

  get(instanceId: InstanceId): Instance | undefined {
    return this.instances.get(instanceId);
  }

  available(): readonly Instance[] {
    const available = this.list().filter(({ instanceId }) => !this.aside.has(instanceId));
    return available.length > 0 ? available : this.list();
  }

  setAside(instanceId: InstanceId): void {
    this.aside.add(instanceId);
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  join(instance: Instance): void {
    this.instances.set(instance.instanceId, instance);
    for (const listener of this.listeners) listener();
  }

  leave(instanceId: InstanceId): void {
    this.instances.delete(instanceId);
    for (const listener of this.listeners) listener();
  }
}

/** Keeps what a caller would get. */
export class KeepingSink implements ResponseSink {
  readonly writes: (readonly Uint8Array[])[] = [];
  readonly items: Annotated[] = [];

  item(item: Annotated): Promise<void> {
    this.items.push(item);
    return Promise.resolve();
  }

  frames(bodies: readonly Uint8Array[]): Promise<void> {
    this.writes.push(bodies);
    return Promise.resolve();
  }
}
