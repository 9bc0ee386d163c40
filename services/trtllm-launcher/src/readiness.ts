// A worker is ready when it is registered: never after a time, never by a log line.
//
// Two facts are waited for, since neither names the other: the worker's own status server says that its endpoint is
// ready (which of our processes it is), and an instance record that nobody had before stands in etcd (others can find it).
// The card is written before the endpoint is served, so the record is the later of the two.
// Source: Dynamo 0.9.1 … 1.6.1, `/health` on DYN_SYSTEM_PORT (wire.md §12, worker.md §3.6).
import { setTimeout as sleep } from "node:timers/promises";
import type { InstanceId } from "@mm-router/protocol";
import type { EndpointClient } from "@mm-router/runtime";

const pollMs = 200; // an engine loads for seconds to minutes: finer is wasted

/** Hands out each instance of an endpoint once; those that stood there before the launcher are somebody else's. */
export class NewInstances {
  readonly #client: EndpointClient;
  readonly #known: Set<InstanceId>;

  /** @param client after `ready()` */
  constructor(client: EndpointClient) {
    this.#client = client;
    this.#known = new Set(client.instances.list().map(({ instanceId }) => instanceId));
  }

  /** The next instance that nobody took yet. Rejects when `signal` aborts. */
  async take(signal: AbortSignal): Promise<InstanceId> {
    const { promise, resolve, reject } = Promise.withResolvers<InstanceId>();
    const look = (): void => {
      const fresh = this.#client.instances.list().find(({ instanceId }) => !this.#known.has(instanceId));
      if (fresh === undefined) return;
      this.#known.add(fresh.instanceId);
      resolve(fresh.instanceId);
      end();
    };
    const giveUp = (): void => {
      reject(signal.reason);
      end();
    };
    const stopListening = this.#client.instances.onChange(look);
    const end = (): void => {
      stopListening();
      signal.removeEventListener("abort", giveUp);
    };
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    else look();
    return await promise;
  }
}

/** Resolves when the status server of one worker says that `endpoint` is ready. Rejects when `signal` aborts. */
export async function untilHealthy(systemPort: number, endpoint: string, signal: AbortSignal): Promise<void> {
  while (!(await isHealthy(systemPort, endpoint))) await sleep(pollMs, undefined, { signal });
}

async function isHealthy(systemPort: number, endpoint: string): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${systemPort}/health`, { signal: AbortSignal.timeout(2_000) });
    if (answer.status !== 200) return false;
    const { endpoints } = (await answer.json()) as { endpoints?: Record<string, string> };
    return endpoints?.[endpoint] === "ready";
  } catch {
    return false; // not listening yet, or loading
  }
}
