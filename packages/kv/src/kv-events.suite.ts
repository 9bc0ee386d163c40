// Events of an index's tests in short form.
import type { BlockHash, ExternalHash, InstanceId, KvEventData, RouterEvent } from "@mm-router/protocol";

export interface RankOf {
  readonly worker: bigint;
  readonly rank: number;
}

export function event({ worker, rank }: RankOf, data: KvEventData): RouterEvent {
  return { worker_id: worker as InstanceId, event: { event_id: 0n, data, dp_rank: rank } };
}

/** @param blocks pairs of engine hash and tokens_hash */
export function stored(at: RankOf, parent: bigint | null, blocks: readonly (readonly [bigint, bigint])[]): RouterEvent {
  const wire = blocks.map(([block, tokens]) => ({ block_hash: block as ExternalHash, tokens_hash: tokens as BlockHash }));
  return event(at, { stored: { parent_hash: parent as ExternalHash | null, blocks: wire } });
}

export function removed(at: RankOf, hashes: readonly bigint[]): RouterEvent {
  return event(at, { removed: { block_hashes: hashes as ExternalHash[] } });
}
