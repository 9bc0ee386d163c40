import { dialectOf, type InstanceId, type RouterEvent } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { golden } from "../golden.ts";
import { specialTokens } from "../model-dir.ts";
import type { PoolEvent } from "./block-pool.ts";
import { PublishedEvents } from "./published-events.ts";

interface EngineEvent {
  readonly data:
    | { readonly type: "created" }
    | { readonly type: "removed"; readonly block_hashes: readonly bigint[] }
    | { readonly type: "stored"; readonly parent_hash: bigint | null; readonly blocks: readonly EngineBlock[] };
}

interface EngineBlock {
  readonly block_hash: number | bigint;
  /** The recordings shorten what the engine writes as `tokens` in all but a stream's first event. */
  readonly token_ids?: readonly number[];
  readonly tokens?: readonly { readonly token_id: number }[];
  readonly mm_keys?: readonly { readonly hash: string }[];
}

interface Recording {
  readonly engine_events: Readonly<Record<string, readonly EngineEvent[]>>;
  readonly nats: { readonly kv_events: readonly { readonly decoded: Published }[] };
}

type Published = RouterEvent | { readonly payload: { readonly decoded: RouterEvent | readonly RouterEvent[] } };

/** What TensorRT-LLM's event JSON says, without its ids and windows. */
function poolEventsOf(events: readonly EngineEvent[]): PoolEvent[] {
  return events.flatMap(({ data }): PoolEvent[] => {
    if (data.type === "removed") return [{ kind: "removed", hashes: data.block_hashes.map(BigInt) }];
    if (data.type !== "stored") return [];
    const blocks = data.blocks.map((block) => ({
      hash: BigInt(block.block_hash),
      tokens: Uint32Array.from(block.token_ids ?? block.tokens!.map((token) => token.token_id)),
      images: (block.mm_keys ?? []).map((key) => BigInt(`0x${key.hash.slice(0, 16)}`)),
    }));
    return [{ kind: "stored", parent: data.parent_hash === null ? null : BigInt(data.parent_hash), blocks }];
  });
}

function publishedOf({ nats }: Recording): RouterEvent[] {
  return nats.kv_events.flatMap(({ decoded }) => ("payload" in decoded ? decoded.payload.decoded : decoded));
}

/**
 * Blocks in the order in which they come and go, by what is in them: the engine's names are its own.
 * A real publisher of 1.4 and later merges neighbouring events of a batch, so the events' borders say nothing there.
 */
function blocksOf(events: readonly RouterEvent[], isMerged: boolean): unknown[] {
  return events.flatMap(({ event, worker_id: _worker, ...form }): unknown[] => {
    const id = isMerged ? {} : { ...form, event_id: BigInt(event.event_id) };
    if (event.data === "cleared") return ["cleared"];
    if ("removed" in event.data) return [{ ...id, removed: event.data.removed.block_hashes.length }];
    const { blocks, parent_hash } = event.data.stored;
    const stored = blocks.map(({ tokens_hash, mm_extra_info }) => ({
      tokens_hash: BigInt(tokens_hash),
      images: mm_extra_info?.mm_objects.map((object) => BigInt(object.mm_hash)) ?? [],
    }));
    return isMerged ? stored : [{ ...id, root: parent_hash === null, stored }];
  });
}

describe("PublishedEvents", () => {
  const recordings = ["evict-0.9.1", "evict-1.0.2", "evict-1.6.1", "mm-0.9.1", "mm-1.0.2", "mm-1.2.1", "mm-1.4.2", "mm-1.5.1", "mm-1.6.1"];

  it.each(recordings)("publishes what the real worker made of the same engine events: %s", (name) => {
    const recording = golden<Recording>(`worker/${name}.json`);
    const dialect = dialectOf(name.split("-")[1]!);
    const isMerged = dialect.eventPayload === "list";
    const real = publishedOf(recording);
    const workers = [...new Set(real.map(({ worker_id }) => BigInt(worker_id)))];
    const compared = Object.values(recording.engine_events).map((events) => {
      const own = new PublishedEvents({
        dialect,
        worker: { workerId: 1n as InstanceId, dpRank: 0 },
        blockSize: 32,
        imageTokenId: specialTokens.image,
      });
      return blocksOf(own.publish(poolEventsOf(events)), isMerged);
    });
    const expected = workers.map((worker) => {
      const published = real.filter(({ worker_id }) => BigInt(worker_id) === worker);
      return blocksOf(published, isMerged);
    });
    expect(compared).toHaveLength(2);
    for (const events of expected) expect(compared).toContainEqual(events);
  });
});
