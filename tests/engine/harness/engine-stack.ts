// Two real engines behind everything of ours, and a way to know that nothing more is to come of what they did.
//
//   ours, real frontend 1.6.1 ─► our mm-router ─► dynamo.vllm ×2 ─ events ─► our indexer
//
//   settle(worker)   a request of its own to the worker; once its block is in our index, all earlier events are, too,
//                    because an engine publishes in order
import { blockHashes } from "@mm-router/kv";
import { cluster, engineModelDir, startEngineWorkers, waitFor } from "@mm-router/testkit";
import { callInstance, connectTo } from "../../swap/harness/our-client.ts";
import { pathOf, type ProofStack, textModelOf, usageOf } from "../../swap/harness/image-proof.ts";
import { dumpOfIndexer } from "../../swap/harness/index-view.ts";
import { tokensRequest } from "../../swap/harness/tokens-request.ts";

export const blockSize = 32;
/** A context of 2048 tokens has 64; two dialogues do not fit into what is left. */
const blocksPerWorker = 80;

export type Published = ReadonlyMap<bigint, ReadonlySet<string>>;

export interface EngineStack extends ProofStack {
  /** What our index holds, once everything that the worker did before is in it. */
  settle(workerId: bigint): Promise<Published>;
  /** Paths that only `settle` caused. */
  readonly probes: ReadonlySet<string>;
}

export async function startEngineStack(started: AsyncDisposableStack): Promise<EngineStack> {
  const system = started.use(
    await cluster({
      requestPlane: "tcp",
      model: engineModelDir(),
      blockSize,
      workers: {
        component: "backend",
        start: (place, served) => startEngineWorkers(place, { ...served, count: 2, blocks: blocksPerWorker, contextTokens: 2_048 }),
      },
      indexer: true,
      routers: 1,
      frontends: ["1.6.1", "ours"],
    }),
  );
  const runtime = await connectTo(system.place);
  started.defer(() => runtime.close());
  const probes = new Set<string>();
  const settle = async (workerId: bigint): Promise<Published> => {
    const tokens = probeTokens(probes.size);
    const path = pathOf(Array.from(blockHashes({ tokens: Uint32Array.from(tokens), blockSize }), String));
    probes.add(path);
    const request = { ...tokensRequest(0, { max_tokens: 1 }), token_ids: tokens };
    usageOf(await callInstance(runtime, system.place, { component: system.component, instanceId: workerId }, request));
    return waitFor({ what: "the probe's block in our index" }, async () => {
      const published = await dumpOfIndexer(system.indexer!.url);
      return published.get(workerId)?.has(path) === true ? published : undefined;
    });
  };
  return { system, runtime, text: await textModelOf(system), settle, probes };
}

/** One whole block, and the token that an engine computes always: no two numbers have the same. */
function probeTokens(number: number): number[] {
  return [1_000 + (number % 1_000), 1_000 + Math.floor(number / 1_000), ...new Array<number>(blockSize - 1).fill(999)];
}
