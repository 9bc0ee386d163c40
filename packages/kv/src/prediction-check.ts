// Holds what a rank publishes against the blocks that were predicted for one request on it.
//
//   predicted   h₀ … │ hᶠ … hₙ₋₁          the first f are held already (overlap), the rest is to be computed and published
//   published   stored(parent, blocks)    found by their parent, or by content where the parent was stored before anybody listened
//
//   exact       every block from f on was published
//   different   hᵢ is missing, and in its place something else was published that no other request explains
//   unseen      neither: evicted events, a prompt that another request had computed a moment before
//
// I1  A block that is missing proves nothing by itself; only a stranger in its place does.
// I2  Bounded: as many positions as the prompt has blocks, `strangersMax` strangers.
import type { BlockHash, ExternalHash, StoredBlocks } from "@mm-router/protocol";

export type PredictionVerdict =
  | { readonly kind: "exact" }
  /** The first block that differs: its place in the prompt, and both local hashes. */
  | { readonly kind: "different"; readonly block: number; readonly predicted: bigint; readonly published: bigint }
  | { readonly kind: "unseen" };

/** Whether another request predicted this block at this place. */
export type Explains = (block: number, hash: bigint) => boolean;

interface Stranger {
  readonly block: number;
  readonly hash: bigint;
}

const strangersMax = 16;

export class PredictionCheck {
  private readonly hashes: BigUint64Array;
  private readonly from: number;
  /** Blocks from `from` on that were not published yet. */
  private readonly missing: Map<bigint, number>;
  /** Engine hash → number of the prompt's blocks up to and with it. */
  private readonly depths = new Map<ExternalHash, number>();
  private readonly strangers: Stranger[] = [];

  /**
   * @param hashes  local hashes of the prompt's full blocks
   * @param from    leading blocks that the rank held before
   * @param isKnown whether a hash was published on this rank a moment before
   */
  constructor(hashes: BigUint64Array, from: number, isKnown: (hash: bigint) => boolean = () => false) {
    this.hashes = hashes;
    this.from = from;
    this.missing = new Map();
    for (let block = from; block < hashes.length; block++) if (!isKnown(hashes[block]!)) this.missing.set(hashes[block]!, block);
  }

  /** The rank published these. */
  stored({ parent_hash, blocks }: Pick<StoredBlocks, "parent_hash" | "blocks">): void {
    let depth = parent_hash === null ? 0 : this.depths.get(parent_hash);
    if (depth === undefined) depth = this.depthByContent(blocks);
    for (const { block_hash, tokens_hash } of depth === undefined ? [] : blocks) {
      if (depth! >= this.hashes.length) return; // what was generated
      if (this.hashes[depth!] !== tokens_hash) return this.strange(depth!, tokens_hash);
      this.missing.delete(tokens_hash);
      this.depths.set(block_hash, ++depth!);
    }
  }

  get isExact(): boolean {
    return this.missing.size === 0;
  }

  verdict(explains: Explains): PredictionVerdict {
    const [block] = this.missing.values(); // in the order of the prompt
    if (block === undefined) return { kind: "exact" };
    const stranger = this.strangers.find((each) => each.block === block && !explains(block, each.hash));
    if (stranger === undefined) return { kind: "unseen" };
    return { kind: "different", block, predicted: this.hashes[block]!, published: stranger.hash };
  }

  /** Behind a parent that nobody heard of: ours if one of its blocks is, or if it is as long as what is missing. */
  private depthByContent(blocks: StoredBlocks["blocks"]): number | undefined {
    const first = blocks[0]?.tokens_hash;
    if (first === undefined) return undefined;
    const known = this.missing.get(first);
    if (known !== undefined) return known;
    const expected = this.hashes.length - this.from;
    const isAsLong = blocks.length > 1 && Math.abs(blocks.length - expected) <= 1; // what is generated comes block by block
    if (this.from > 0 && isAsLong) this.strange(this.from, first);
    return undefined;
  }

  private strange(block: number, hash: BlockHash): void {
    if (this.strangers.length < strangersMax) this.strangers.push({ block, hash });
  }
}
