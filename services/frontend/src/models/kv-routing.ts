// KV routing in the frontend itself: to the worker that holds most of the prompt, weighed against what runs at each.
//
//   tokens ─▶ block hashes ─▶ index ────────▶ overlap ─┐
//                              own bookings ───────────┴─▶ cheapest rank, booked until its stream is over
//
// For prompts of text. What stands for an image is mm-router's affair: prompts with images follow the load alone.
// Source: packages/kv (upstream's cost); the index is asked as mm-router asks it.
// I1  The index is optional: late or missing, the load decides.
// I2  A booking ends exactly once, however its stream ends.
import { blockHashes, type KvRouterConfig, LocalScheduler, type Booking } from "@mm-router/kv";
import type { AskedIndex } from "@mm-router/kv-indexer";
import {
  detectRelease,
  dialectOf,
  type Instance,
  type InstanceId,
  type ModelCard,
  type RankScore,
  type WorkerKey,
} from "@mm-router/protocol";
import type { Clock, ResponseStream } from "@mm-router/runtime";

/** What of a request decides its blocks. */
export interface KvPrompt {
  readonly tokenIds: Uint32Array;
  /** Pictures, videos or sounds stand in it. */
  readonly hasMedia: boolean;
  readonly cacheSalt: string | undefined;
  /** Of the span that the request's way is a part of. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface KvRoutingDeps {
  readonly card: ModelCard;
  readonly loraName: string | undefined;
  readonly index: AskedIndex;
  readonly config: KvRouterConfig;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Lets go of the index. */
  readonly close: () => void;
}

/** What is known of one prompt; good for several attempts. */
export interface KvPlan {
  readonly islTokens: number;
  readonly hashes: BigUint64Array;
  readonly overlap: readonly RankScore[];
}

/** More ranks than any engine has; a card that claims more is wrong. */
const ranksMax = 1024;
const noHashes = new BigUint64Array();

export class KvRouting {
  readonly #deps: KvRoutingDeps;
  readonly #scheduler: LocalScheduler;

  constructor(deps: KvRoutingDeps) {
    const { card, config, clock, random } = deps;
    this.#deps = deps;
    this.#scheduler = new LocalScheduler({ blockSize: card.kv_cache_block_size, config, now: () => clock.now(), random });
  }

  /** @param worker any of those that may be chosen: they are of one kind @throws AppError `client_closed` when the client left */
  async plan(prompt: KvPrompt, worker: Instance, signal: AbortSignal): Promise<KvPlan> {
    const { card, index } = this.#deps;
    const hashes = this.#hashes(prompt, worker);
    const { scores } = await index.query(card.display_name, hashes, signal, prompt.headers);
    return { islTokens: prompt.tokenIds.length, hashes, overlap: scores };
  }

  /** @param dpRank the only rank that may serve; undefined: any */
  book({ islTokens, hashes, overlap }: KvPlan, instances: readonly InstanceId[], dpRank: number | undefined): Booking {
    const candidates = instances.flatMap((id) => this.#ranksOf(id)).filter((rank) => dpRank === undefined || rank.dpRank === dpRank);
    return this.#scheduler.select({ islTokens, blockHashes: hashes, overlap: [...overlap], candidates });
  }

  close(): void {
    this.#deps.close();
  }

  #hashes({ tokenIds, hasMedia, cacheSalt }: KvPrompt, worker: Instance): BigUint64Array {
    const { card, loraName } = this.#deps;
    if (hasMedia || card.kv_cache_block_size === 0) return noHashes;
    const dialect = dialectOf(detectRelease(worker, card));
    return blockHashes({
      tokens: tokenIds,
      blockSize: card.kv_cache_block_size,
      isEagle: dialect.hashesEagle && card.runtime_config?.["enable_eagle"] === true,
      loraName: dialect.hashesLora ? loraName : undefined,
      cacheNamespace: dialect.hashesCacheSalt ? cacheSalt : undefined,
    });
  }

  #ranksOf(workerId: InstanceId): WorkerKey[] {
    const { data_parallel_start_rank: first, data_parallel_size: size } = this.#deps.card.runtime_config ?? {};
    const ranks = Math.min(Math.max(size ?? 1, 1), ranksMax);
    return Array.from({ length: ranks }, (_, at) => ({ workerId, dpRank: (first ?? 0) + at }));
  }
}

/** The stream of a booked request: its first items end the prefill, its end frees the booking. @param signal of the request */
export function bookedStream(stream: ResponseStream, booking: Booking, signal: AbortSignal): ResponseStream {
  signal.addEventListener("abort", booking.free, { once: true });
  return {
    instanceId: stream.instanceId,
    cancel: () => stream.cancel(),
    async *[Symbol.asyncIterator]() {
      try {
        for await (const batch of stream) {
          booking.prefillDone();
          yield batch;
        }
      } finally {
        booking.free();
      }
    },
  };
}
