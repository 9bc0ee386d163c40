// After many requests with eviction our index holds what the worker holds, block for block: what its engine said (the stand-in's own log of
// events) and, where the release has it, what the worker tells about itself.
//
//   MMR_TEST_REQUESTS=10000 MMR_TEST_RELEASES=all npm test -- --project swap tests/swap/index-equality.test.ts      the long form, every cell
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJson, u64FromI64 } from "@mm-router/protocol";
import { type EventPlane, type KvEventPath, patienceMs, type Release, type RequestPlane } from "@mm-router/testkit";
import { describeRelease } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { expectSameBlocks, type IndexStack, startIndexStack } from "./harness/index-stack.ts";
import type { Target } from "./harness/our-client.ts";
import { startTokenLoad } from "./harness/token-load.ts";

const isLong = process.env.MMR_TEST_REQUESTS !== undefined;
const requests = Number(process.env.MMR_TEST_REQUESTS ?? 60);

interface Cell {
  readonly release: Release;
  readonly requestPlane: RequestPlane;
  readonly eventPlane: EventPlane;
  readonly events: KvEventPath;
  /** Met in the short form, too. */
  readonly isShort?: boolean;
}

const cells: readonly Cell[] = [
  { release: "0.9.1", requestPlane: "nats", eventPlane: "nats", events: "jetstream", isShort: true },
  { release: "1.0.2", requestPlane: "tcp", eventPlane: "nats", events: "core" },
  { release: "1.0.2", requestPlane: "nats", eventPlane: "nats", events: "jetstream" },
  { release: "1.2.1", requestPlane: "nats", eventPlane: "nats", events: "core" },
  { release: "1.2.1", requestPlane: "tcp", eventPlane: "nats", events: "jetstream" },
  { release: "1.4.2", requestPlane: "nats", eventPlane: "unset", events: "core" },
  { release: "1.6.1", requestPlane: "tcp", eventPlane: "nats", events: "core" },
  { release: "1.6.1", requestPlane: "nats", eventPlane: "unset", events: "core", isShort: true },
];
const blocks = 48;
const blockSize = 32;

for (const cell of cells.filter(({ isShort }) => isLong || isShort)) {
  const { release, requestPlane, eventPlane, events } = cell;
  await describeRelease(
    `${requests} requests of Dynamo ${release} over ${requestPlane}, events over ${events}/${eventPlane}`,
    release,
    () => {
      let stack: IndexStack;
      beforeAll(async () => {
        stack = await startIndexStack({ release, requestPlane, eventPlane });
      });
      afterAll(() => stack?.[Symbol.asyncDispose]());

      const timeout = 90_000 + 100 * requests;

      it("a worker under eviction: our index equals it", { timeout }, async () => {
        const engineLog = join(stack.place.directory, "engine-events.jsonl");
        const worker = await stack.worker({ engine: { SIM_BLOCKS: `${blocks}`, SIM_EVENT_LOG: engineLog }, events });
        const indexer = await stack.indexer(worker.component);
        await load(worker);
        const engine = new EngineLog(engineLog);
        engine.holds();
        const difference = async () => differing(engine.holds(), await heldBy(indexer.url));
        await expect.poll(difference, { timeout: patienceMs, interval: 100 }).toEqual({ missing: [], extra: [] });
        expect(engine.holds().size).toBeGreaterThan(blocks / 2);
        if (events === "core") await expectSameBlocks(stack, indexer, [worker]);
      });

      if (events === "jetstream") return; // a mocker's recovery endpoint is the truth, and durable ones have none

      it("a mocker under eviction: our index equals it", { timeout }, async () => {
        const mocker = await stack.mocker({ args: ["--num-gpu-blocks-override", `${blocks}`] });
        const indexer = await stack.indexer(mocker.component);
        await load(mocker);
        expect(await expectSameBlocks(stack, indexer, [mocker])).toBeGreaterThan(blocks / 4);
      });

      async function load(target: Target): Promise<void> {
        const running = startTokenLoad(stack, target, 4);
        await running.answered(requests);
        await running.stop();
      }
    },
  );
}

/** What an engine holds, by its own log: read on from where it was read to, since the log of thousands of requests is long. */
class EngineLog {
  readonly #path: string;
  readonly #held = new Set<bigint>();
  #read = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Engine hashes of full blocks: of others no worker tells. */
  holds(): ReadonlySet<bigint> {
    const text = existsSync(this.#path) ? readFileSync(this.#path, "latin1") : "";
    const end = text.lastIndexOf("\n") + 1;
    for (const line of text.slice(this.#read, end).split("\n"))
      if (line !== "") this.#take(parseJson(line) as unknown as { data: EngineEvent });
    this.#read = end;
    return this.#held;
  }

  #take({ data }: { data: EngineEvent }): void {
    if (data.type === "stored") {
      for (const { block_hash, tokens } of data.blocks) if (tokens.length === blockSize) this.#held.add(u64FromI64(BigInt(block_hash)));
    }
    if (data.type === "removed") for (const hash of data.block_hashes) this.#held.delete(u64FromI64(BigInt(hash)));
  }
}

type EngineEvent =
  | { readonly type: "created" }
  | { readonly type: "stored"; readonly blocks: readonly { readonly block_hash: number | bigint; readonly tokens: readonly unknown[] }[] }
  | { readonly type: "removed"; readonly block_hashes: readonly (number | bigint)[] };

/** Engine hashes in our index. */
async function heldBy(url: string): Promise<ReadonlySet<bigint>> {
  const text = await (await fetch(`${url}/dump`)).text();
  const groups = parseJson(text) as unknown as Record<string, { events: StoredWire[] }>;
  const stored = Object.values(groups).flatMap(({ events }) => events.flatMap(({ event }) => event.data.stored.blocks));
  return new Set(stored.map(({ block_hash }) => BigInt(block_hash)));
}

const differing = (engine: ReadonlySet<bigint>, index: ReadonlySet<bigint>): { missing: bigint[]; extra: bigint[] } => ({
  missing: [...engine.difference(index)],
  extra: [...index.difference(engine)],
});

interface StoredWire {
  readonly event: { readonly data: { readonly stored: { readonly blocks: readonly { readonly block_hash: number | bigint }[] } } };
}
