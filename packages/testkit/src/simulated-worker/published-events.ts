// What a worker makes of its engine's cache events: the events that routers see.
//
//   engine   stored [A B C(partial)]            removed [C]            removed [B]
//   worker   stored [A B]                       – swallowed –          removed [B]
//
// Source: the KV event publisher of `dynamo.trtllm` 0.9.1 … 1.6.1; vectors: golden/worker/*.json.
// I1  Blocks that are not full are never published; a stored event that is empty for it is published up to 1.2.
// I2  The removal of an unpublished block is dropped; an emptied removed event is published up to 1.0.
// I3  Event ids are consecutive.
import { blockHashes } from "@mm-router/kv";
import {
  type BlockHash,
  type Dialect,
  type ExternalHash,
  type KvEventData,
  type MmHash,
  type RouterEvent,
  routerEventFor,
  type StoredBlock,
  type WorkerKey,
} from "@mm-router/protocol";
import type { PoolBlock, PoolEvent } from "./block-pool.ts";

export interface PublisherFacts {
  readonly dialect: Dialect;
  readonly worker: WorkerKey;
  readonly blockSize: number;
  /** Placeholder that stands for an image in the engine's tokens. */
  readonly imageTokenId: number;
}

export class PublishedEvents {
  readonly #facts: PublisherFacts;
  readonly #unpublished = new Set<bigint>();
  #nextId: bigint;

  constructor(facts: PublisherFacts) {
    this.#facts = facts;
    this.#nextId = BigInt(facts.dialect.eventIdsStartAt ?? 1); // 0.9: the engine's own ids, whose 0 is its `created` event
  }

  /** Id of the last event; one below the first while there was none. */
  get lastEventId(): bigint {
    return this.#nextId - 1n;
  }

  /** The engine's events in the form of this worker's release; some give none. */
  publish(events: readonly PoolEvent[]): readonly RouterEvent[] {
    return events.flatMap((event) => {
      const data = event.kind === "stored" ? this.#stored(event) : this.#removed(event);
      return data === undefined ? [] : [routerEventFor(this.#facts.dialect, this.#facts.worker, this.#nextId++, data)];
    });
  }

  #stored({ parent, blocks }: PoolEvent & { kind: "stored" }): KvEventData | undefined {
    const full = blocks.filter((block) => block.tokens.length === this.#facts.blockSize);
    for (const block of blocks.slice(full.length)) this.#unpublished.add(block.hash);
    if (full.length === 0 && this.#facts.dialect.eventPayload === "list") return undefined;
    return {
      stored: { parent_hash: parent as ExternalHash | null, start_position: null, blocks: full.map((block) => this.#block(block)) },
    };
  }

  #removed({ hashes }: PoolEvent & { kind: "removed" }): KvEventData | undefined {
    const published = hashes.filter((hash) => !this.#unpublished.delete(hash)) as ExternalHash[];
    if (published.length === 0 && this.#facts.dialect.countsRemovals) return undefined;
    return { removed: { block_hashes: published } };
  }

  #block({ hash, tokens, images: touching }: PoolBlock): StoredBlock {
    const { dialect, blockSize, imageTokenId } = this.#facts;
    const images = dialect.imageDialect === "none" ? [] : touching;
    const mmInfo = images.length === 0 ? null : { mm_objects: images.map((name) => ({ mm_hash: name as MmHash, offsets: [] })) };
    const isPadded = dialect.imageDialect === "pad";
    const hashed = isPadded ? withPads(tokens, imageTokenId, images) : tokens;
    const [tokensHash] = blockHashes({ tokens: hashed, blockSize, blockMmInfos: isPadded ? [] : [mmInfo] });
    return { block_hash: hash as ExternalHash, tokens_hash: tokensHash as BlockHash, mm_extra_info: mmInfo };
  }
}

/** From 1.4 on: the n-th run of placeholders in a block is replaced by a number made of the n-th image's name. */
function withPads(tokens: Uint32Array, imageTokenId: number, images: readonly bigint[]): Uint32Array {
  let run = -1;
  return tokens.map((token, at) => {
    if (token !== imageTokenId || images.length === 0) return token;
    if (tokens[at - 1] !== imageTokenId) run++;
    return 1_000_000 + Number(images[Math.min(run, images.length - 1)]! & 0x3fffffffn);
  });
}
