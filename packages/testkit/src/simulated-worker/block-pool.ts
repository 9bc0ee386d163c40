// A finite KV cache as an engine keeps it: blocks shared by prefix, counted while they are used, evicted when room is needed.
//
//            root
//           /    \            begin   takes the blocks of prompt and answer: those that are stored, and fresh ones
//       [t t t]  [t t t]      store   puts what was computed into the tree          → stored event
//         |                   end     gives everything back; stored blocks stay until room is needed → removed event
//       [t t]  partial
//
// Rules of TensorRT-LLM, worker.md §5.1:
// I1  The last token of a prompt is always computed, so a prompt never matches as a whole.
// I2  A final block that is not full is stored at the end of a request, and removed when a longer one supersedes it.
// I3  Only leaves that nobody uses are evicted, the one used longest ago first; a removal is reported before the next storing.
// I4  A request that does not fit waits; a running one is never evicted.
import assert from "node:assert";
import { createHash } from "node:crypto";

/** Where an image lies in a prompt, in tokens, and what names it. */
export interface PlacedImage {
  readonly name: bigint;
  readonly start: number;
  readonly length: number;
}

export interface BlockContent {
  readonly tokens: Uint32Array;
  /** Names of the images that touch the block, in prompt order. */
  readonly images: readonly bigint[];
}

export interface PoolBlock extends BlockContent {
  /** The engine's own name; means nothing to anybody else. */
  readonly hash: bigint;
}

export type PoolEvent =
  | { readonly kind: "stored"; readonly parent: bigint | null; readonly blocks: readonly PoolBlock[] }
  | { readonly kind: "removed"; readonly hashes: readonly bigint[] };

interface Node extends PoolBlock {
  readonly key: string;
  readonly parent: Node | undefined;
  readonly children: Map<string, Node>;
  users: number;
}

/** The blocks that one request holds. */
export interface Lease {
  /** Stored blocks of the prompt that were found. */
  readonly reused: number;
  readonly held: Set<Node>;
  /** Blocks taken and not yet stored. */
  fresh: number;
}

export class BlockPool {
  readonly #capacity: number;
  readonly #blockSize: number;
  readonly #root: Node = { key: "", hash: 0n, tokens: new Uint32Array(), images: [], parent: undefined, children: new Map(), users: 0 };
  /** Stored blocks that nobody uses, the one used longest ago first. */
  readonly #idle = new Set<Node>();
  readonly #removed: bigint[] = [];
  #events: PoolEvent[] = [];
  #used = 0;

  /** @param capacity blocks in all  @param blockSize tokens per block */
  constructor(capacity: number, blockSize: number) {
    this.#capacity = capacity;
    this.#blockSize = blockSize;
  }

  /** Blocks that running requests hold. */
  get used(): number {
    return this.#used;
  }

  /** Whether a request could ever run. */
  canHold(tokens: number): boolean {
    return this.#blocksFor(tokens) <= this.#capacity;
  }

  /** Takes the blocks for a prompt and its answer; undefined when they are not free now (I4). */
  begin(prompt: Uint32Array, images: readonly PlacedImage[], answerTokensMax: number): Lease | undefined {
    const found = this.#match(prompt, images);
    const fresh = this.#blocksFor(prompt.length + answerTokensMax) - found.length;
    const idle = found.filter((node) => node.users === 0).length;
    if (this.#used + fresh + idle > this.#capacity) return undefined;
    const lease: Lease = { reused: found.length, held: new Set(), fresh };
    for (const node of found) this.#hold(lease, node);
    this.#used += fresh;
    this.#makeRoom();
    return lease;
  }

  /** Stores the full blocks of `tokens`, and with `last` the partial one at the end (I2). */
  store(lease: Lease, tokens: Uint32Array, images: readonly PlacedImage[], last: boolean): void {
    let parent = this.#root;
    const added: Node[] = [];
    for (const content of this.#contents(tokens, images, last)) {
      let node = parent.children.get(keyOf(content));
      if (node === undefined) {
        node = this.#add(parent, content);
        added.push(node);
        assert(lease.fresh > 0, "begin took a block for every one that is stored");
        lease.fresh--;
        lease.held.add(node);
        node.users = 1;
      }
      parent = node;
    }
    if (added.length === 0) return;
    this.#reportRemoved();
    const before = added[0]!.parent!;
    this.#events.push({ kind: "stored", parent: before === this.#root ? null : before.hash, blocks: added });
  }

  end(lease: Lease): void {
    this.#used -= lease.fresh;
    lease.fresh = 0;
    for (const node of [...lease.held].reverse()) this.#release(node); // leaves become the oldest
    lease.held.clear();
    this.#makeRoom();
    this.#reportRemoved();
  }

  /** What happened since the last call, in order. */
  takeEvents(): readonly PoolEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.#blockSize);
  }

  #match(prompt: Uint32Array, images: readonly PlacedImage[]): Node[] {
    const found: Node[] = [];
    let node = this.#root;
    for (const content of this.#contents(prompt.subarray(0, -1), images, false)) {
      const next = node.children.get(keyOf(content));
      if (next === undefined) break;
      found.push(next);
      node = next;
    }
    return found;
  }

  *#contents(tokens: Uint32Array, images: readonly PlacedImage[], partial: boolean): Generator<BlockContent> {
    for (let start = 0; start < tokens.length; start += this.#blockSize) {
      const end = Math.min(start + this.#blockSize, tokens.length);
      if (end - start < this.#blockSize && !partial) return;
      const touching = images.filter((image) => image.start < end && start < image.start + image.length);
      yield { tokens: tokens.slice(start, end), images: touching.map((image) => image.name) };
    }
  }

  #add(parent: Node, content: BlockContent): Node {
    for (const sibling of parent.children.values()) {
      if (sibling.users === 0 && this.#isBeginningOf(sibling, content)) this.#remove(sibling);
    }
    const key = keyOf(content);
    const node = { ...content, key, hash: engineHash(parent.hash, key), parent, children: new Map<string, Node>(), users: 0 };
    parent.children.set(key, node);
    return node;
  }

  #isBeginningOf(block: Node, { tokens }: BlockContent): boolean {
    return block.tokens.length < this.#blockSize && block.tokens.every((token, at) => tokens[at] === token);
  }

  #hold(lease: Lease, node: Node): void {
    if (node.users === 0) {
      this.#idle.delete(node);
      this.#used++;
    }
    node.users++;
    lease.held.add(node);
  }

  #release(node: Node): void {
    node.users--;
    if (node.users > 0) return;
    this.#used--;
    this.#idle.add(node);
  }

  #makeRoom(): void {
    while (this.#used + this.#idle.size > this.#capacity) {
      const leaf = this.#oldestIdleLeaf();
      if (leaf === undefined) return; // all that is idle leads to blocks in use
      this.#remove(leaf);
    }
  }

  #oldestIdleLeaf(): Node | undefined {
    for (const node of this.#idle) if (node.children.size === 0) return node;
    return undefined;
  }

  #remove(node: Node): void {
    this.#idle.delete(node);
    node.parent?.children.delete(node.key);
    this.#removed.push(node.hash);
  }

  #reportRemoved(): void {
    if (this.#removed.length > 0) this.#events.push({ kind: "removed", hashes: this.#removed.splice(0) });
  }
}

const keyOf = ({ tokens, images }: BlockContent): string => `${tokens.join(" ")}|${images.join(" ")}`;

function engineHash(parent: bigint, key: string): bigint {
  return createHash("sha256").update(`${parent}/${key}`).digest().readBigUInt64LE();
}
