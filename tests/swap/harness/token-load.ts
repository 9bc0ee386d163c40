// Requests for one worker, some at a time, whose blocks come, are asked for again and make room for each other.
import type { InstanceId } from "@mm-router/protocol";
import type { Runtime } from "@mm-router/runtime";
import { patienceMs, type Place } from "@mm-router/testkit";
import { expect } from "vitest";
import type { Target } from "./our-client.ts";
import { tokensRequest } from "./tokens-request.ts";

export interface TokenLoad {
  /** Resolves after so many more answers. */
  answered(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Different prompts of three full blocks; a worker of some tens of blocks holds a few of them. */
const prompts = 300;
let drawn = 0;

export function startTokenLoad({ runtime, place }: { runtime: Runtime; place: Place }, target: Target, atOnce = 2): TokenLoad {
  const client = runtime.endpoint({ namespace: place.namespace, component: target.component, endpoint: "generate" }).client();
  const stopping = new AbortController();
  let answers = 0;
  const ask = async (): Promise<void> => {
    await client.ready();
    while (!stopping.signal.aborted) {
      drawn = (drawn * 1_103 + 12_345) % 65_536; // as good as random, the same in every run
      const request = Buffer.from(JSON.stringify(tokensRequest(100 * (drawn % prompts))));
      const call = { contextId: crypto.randomUUID(), body: request, signal: AbortSignal.timeout(30_000) };
      for await (const _ of await client.direct(target.instanceId as InstanceId, call));
      answers++;
    }
  };
  const asking = Promise.all(Array.from({ length: atOnce }, ask));
  asking.catch(() => {}); // told by `stop`, or by `answered`, which waits in vain
  return {
    answered: async (count) => {
      const wanted = answers + count;
      const reached = expect.poll(() => answers, { timeout: patienceMs + 200 * count, interval: 20 }).toBeGreaterThanOrEqual(wanted);
      await Promise.race([reached, asking]);
    },
    stop: async () => {
      stopping.abort();
      await asking.finally(() => client.close());
    },
  };
}
