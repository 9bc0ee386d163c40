// One rank's blocks as `stored` events, one event per stretch of a path: what ≥ 1.4 workers send as a dump.
import type { BlockHash, ExternalHash, RouterEvent, StoredBlock, U64, WorkerKey } from "@mm-router/protocol";
import { join } from "./hash-bits.ts";
import { type PositionTree, root } from "./position-tree.ts";

/** A position and one engine hash that names it. */
export interface NamedPosition {
  readonly hash: U64;
  readonly position: number;
}

/**
 * @param names  parents before children, neighbours of a path together
 * @returns events with ids from 0; a position whose parent is not among the rank's names is left out, and all below it
 */
export function* dumpRank({ workerId, dpRank }: WorkerKey, names: readonly NamedPosition[], tree: PositionTree): Iterable<RouterEvent> {
  const nameOf = new Map<number, U64>();
  let eventId = 0n;
  let parentHash: U64 | null = null;
  let blocks: StoredBlock[] = [];
  let last = root;
  const event = (): RouterEvent => {
    const stored = { parent_hash: parentHash as ExternalHash | null, blocks };
    return { worker_id: workerId, event: { event_id: eventId++, data: { stored }, dp_rank: dpRank } };
  };
  for (const { hash, position } of names) {
    const parent = tree.parentOf(position);
    const parentName = parent === root ? null : nameOf.get(parent);
    if (parentName === undefined) continue;
    const follows = parent === last && parent !== root && !nameOf.has(position);
    if (!follows) {
      if (blocks.length > 0) yield event();
      parentHash = parentName;
      blocks = [];
    }
    blocks.push({ block_hash: hash as ExternalHash, tokens_hash: join(tree.tokensLow(position), tree.tokensHigh(position)) as BlockHash });
    if (!nameOf.has(position)) nameOf.set(position, hash);
    last = position;
  }
  if (blocks.length > 0) yield event();
}
