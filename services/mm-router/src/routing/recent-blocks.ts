// The local hashes of the last blocks that a rank published: what another request had computed a moment before is not computed again.
import type { StoredBlock } from "@mm-router/protocol";

const blocksMax = 4_096;

export class RecentBlocks {
  private readonly hashes = new Set<bigint>();

  add(blocks: readonly StoredBlock[]): void {
    for (const { tokens_hash } of blocks) this.hashes.add(tokens_hash);
    for (const oldest of this.hashes) {
      if (this.hashes.size <= blocksMax) return;
      this.hashes.delete(oldest);
    }
  }

  has(hash: bigint): boolean {
    return this.hashes.has(hash);
  }
}
