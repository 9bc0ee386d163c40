// The prefix index written down from its contract (kv-index.ts) with Maps and Sets, as the oracle of the production index.
import type { BlockHash, ExternalHash, InstanceId, RouterEvent, StoredBlocks, WorkerKey } from "@mm-router/protocol";
import { workerKeyText } from "@mm-router/protocol";
import type { ApplyOutcome, ClearedScope, IndexSize, KvIndex } from "./kv-index.ts";
import type { OverlapScore, OverlapScores } from "./overlap.ts";

export interface Position {
  readonly parent: Position | undefined;
  readonly tokensHash: BlockHash | undefined;
  readonly children: Map<BlockHash, Position>;
  readonly ranks: Set<Rank>;
}

export interface Rank {
  readonly worker: WorkerKey;
  readonly positions: Map<ExternalHash, Position>;
  readonly held: Set<Position>;
}

export class NaiveIndex implements KvIndex {
  private root = position(undefined, undefined);
  protected readonly ranks = new Map<string, Rank>();

  apply({ worker_id, event }: RouterEvent, clearedScope: ClearedScope = "rank"): ApplyOutcome {
    const worker = { workerId: worker_id, dpRank: event.dp_rank };
    if (event.data === "cleared") {
      if (clearedScope === "worker") this.removeWorker(worker_id);
      else this.removeRank(worker);
      return "applied";
    }
    if ("stored" in event.data) return this.store(worker, event.data.stored);
    const rank = this.ranks.get(workerKeyText(worker));
    const unknown = event.data.removed.block_hashes.filter((hash) => !rank || !this.release(rank, hash));
    return unknown.length === 0 ? "applied" : "block_not_found";
  }

  findMatches(hashes: BigUint64Array): OverlapScores {
    const scores: OverlapScore[] = [];
    for (const rank of this.ranks.values()) {
      let blocks = 0;
      for (let at = this.root; blocks < hashes.length; blocks++) {
        const next = at.children.get(hashes[blocks] as BlockHash);
        if (next === undefined || !this.goesOn(rank, next)) break;
        at = next;
      }
      if (blocks > 0) scores.push({ worker: rank.worker, blocks });
    }
    return scores;
  }

  removeWorker(workerId: InstanceId): void {
    for (const { worker } of this.ranks.values()) if (worker.workerId === workerId) this.removeRank(worker);
  }

  removeRank(worker: WorkerKey): void {
    const rank = this.ranks.get(workerKeyText(worker));
    if (rank === undefined) return;
    for (const at of rank.held) this.leave(rank, at);
    this.ranks.delete(workerKeyText(worker));
  }

  clear(): void {
    this.root = position(undefined, undefined);
    this.ranks.clear();
  }

  *dump(worker?: WorkerKey): Iterable<RouterEvent> {
    for (const [key, rank] of this.ranks) {
      if (worker !== undefined && key !== workerKeyText(worker)) continue;
      const hashesOf = (at: Position) => [...rank.positions].flatMap(([hash, named]) => (named === at ? [hash] : []));
      let eventId = 0n;
      const below = function* (parent: Position, parent_hash: ExternalHash | null): Iterable<RouterEvent> {
        for (const [tokens_hash, child] of parent.children) {
          const hashes = child.ranks.has(rank) ? hashesOf(child) : [];
          for (const block_hash of hashes) {
            const stored = { parent_hash, blocks: [{ block_hash, tokens_hash }] };
            yield { worker_id: rank.worker.workerId, event: { event_id: eventId++, data: { stored }, dp_rank: rank.worker.dpRank } };
          }
          if (hashes[0] !== undefined) yield* below(child, hashes[0]);
        }
      };
      yield* below(this.root, null);
    }
  }

  entriesOf(worker: WorkerKey): number {
    return this.ranks.get(workerKeyText(worker))?.positions.size ?? 0;
  }

  get size(): IndexSize {
    let entries = 0;
    for (const rank of this.ranks.values()) entries += rank.positions.size;
    return { ranks: this.ranks.size, entries };
  }

  private store(worker: WorkerKey, { parent_hash, blocks }: StoredBlocks): ApplyOutcome {
    const key = workerKeyText(worker);
    const rank = this.ranks.get(key) ?? { worker, positions: new Map(), held: new Set() };
    let at: Position | undefined = parent_hash === null ? this.root : this.parent(rank, parent_hash);
    if (at === undefined) return "parent_not_found";
    if (blocks.length > 0) this.ranks.set(key, rank);
    for (const { block_hash, tokens_hash } of blocks) {
      const child: Position = this.child(at, tokens_hash) ?? position(at, tokens_hash);
      at.children.set(tokens_hash, child);
      rank.positions.set(block_hash, child);
      rank.held.add(child);
      child.ranks.add(rank);
      at = child;
    }
    return "applied";
  }

  /** I1: among the rank's own blocks. */
  protected parent(rank: Rank, hash: ExternalHash): Position | undefined {
    return rank.positions.get(hash);
  }

  /** I1: what is there is used again. */
  protected child(at: Position, tokensHash: BlockHash): Position | undefined {
    return at.children.get(tokensHash);
  }

  /** I5: leading blocks without a hole. */
  protected goesOn(rank: Rank, at: Position): boolean {
    return at.ranks.has(rank);
  }

  private release(rank: Rank, hash: ExternalHash): boolean {
    const at = rank.positions.get(hash);
    if (at === undefined) return false;
    rank.positions.delete(hash);
    this.leave(rank, at);
    return true;
  }

  protected leave(rank: Rank, at: Position): void {
    rank.held.delete(at);
    at.ranks.delete(rank);
    if (at.ranks.size === 0) this.forget(at);
  }

  /** I4: what nobody holds is cut off from its parent, and its subtree with it. */
  protected forget(at: Position): void {
    const siblings = at.parent?.children;
    if (siblings?.get(at.tokensHash!) === at) siblings.delete(at.tokensHash!);
  }
}

function position(parent: Position | undefined, tokensHash: BlockHash | undefined): Position {
  return { parent, tokensHash, children: new Map(), ranks: new Set() };
}
