// What the index is asked to carry: streams of events as engines send them, and queries about them.
//
//   Path     the tokens_hashes of one prompt, and per block a number that every path through it shares
//   events   stored for a rank, some blocks each; an engine hash is made of that number and, with `ownHashes`, of the rank
//
// Without `ownHashes` all ranks call a block the same: from 1.4 on the real tree knows only the first of several names (kv.md §6.2).
// Events are made while they are drawn, as a consumer decodes them; two drawings give equal events.
import type { BlockHash, ExternalHash, InstanceId, RouterEvent, StoredBlock } from "@mm-router/protocol";

export const queryBlocks = 250;
const mask = (1n << 64n) - 1n;

/** A prompt and the rank that stores it. */
interface Path {
  readonly rank: number;
  /** Makes its engine hashes different from those of ranks that have another. */
  readonly salt: number;
  readonly tokens: BigUint64Array<ArrayBuffer>;
  readonly numbers: Uint32Array;
}

export interface Load {
  /** Applied first, not timed. */
  readonly before: () => Iterable<RouterEvent>;
  readonly events: () => Iterable<RouterEvent>;
  /** Stored blocks in `events`, repeats included. */
  readonly blocks: number;
  readonly queries: readonly BigUint64Array<ArrayBuffer>[];
  readonly goals: Goals;
}

/** µs, million blocks per second, bytes per pair of block and rank. */
export interface Goals {
  readonly findP50: number;
  readonly findP99: number;
  readonly apply: number;
  readonly bytes: number;
}

const longGoals: Goals = { findP50: 4, findP99: 8, apply: 2, bytes: 48 };
const shortGoals: Goals = { findP50: 5, findP99: 10, apply: 1.5, bytes: 48 };

export const loads: Readonly<Record<string, (ownHashes: boolean) => Load>> = {
  "64-block events, half shared": (ownHashes) => halfShared(new PathMaker(64, ownHashes)),
  "64-block events, nothing shared": (ownHashes) => nothingShared(new PathMaker(64, ownHashes)),
  "64-block events, half shared, 128 ranks": (ownHashes) => halfShared(new PathMaker(128, ownHashes)),
  "64-block events, after 5 x turnover": (ownHashes) => turnover(new PathMaker(64, ownHashes)),
  "one-block events, interleaved": (ownHashes) => interleaved(new PathMaker(64, ownHashes)),
  "one-block events, short branches": (ownHashes) => shortBranches(new PathMaker(64, ownHashes)),
};

/** 64 system prompts of 125 blocks, each below 62 or 63 prompts that end in blocks of their own. */
function halfShared(maker: PathMaker): Load {
  const shared = times(64, () => maker.path(queryBlocks / 2));
  return longLoad(times(4_000, (i) => maker.path(queryBlocks / 2, shared[i % shared.length])));
}

function nothingShared(maker: PathMaker): Load {
  return longLoad(times(4_000, () => maker.path(queryBlocks)));
}

function longLoad(paths: readonly Path[]): Load {
  return {
    before: () => [],
    events: () => stored(paths, 64),
    blocks: paths.length * queryBlocks,
    queries: paths.map(({ tokens }) => tokens),
    goals: longGoals,
  };
}

/** The pool is full all the time: each new prompt takes the place of an older one, leaves first, five times over. */
function turnover(maker: PathMaker): Load {
  const kept = 4_000;
  const paths = times(6 * kept, () => maker.path(queryBlocks));
  return {
    before: () => stored(paths.slice(0, kept), 64),
    *events() {
      for (const [i, path] of paths.slice(kept).entries()) {
        yield removed(paths[i]!);
        yield* stored([path], 64);
      }
    },
    blocks: 5 * kept * queryBlocks,
    queries: paths.slice(-kept).map(({ tokens }) => tokens),
    goals: longGoals,
  };
}

/** 4 000 prompts that grow by one block in turn: neighbours in time are never neighbours on a path. */
function interleaved(maker: PathMaker): Load {
  const paths = times(4_000, () => maker.path(queryBlocks));
  return {
    before: () => [],
    *events() {
      for (let depth = 0; depth < queryBlocks; depth++) for (const path of paths) yield storedEvent(path, depth, depth + 1);
    },
    blocks: paths.length * queryBlocks,
    queries: paths.map(({ tokens }) => tokens),
    goals: shortGoals,
  };
}

/** 8 prompts of 242 blocks that every rank holds; off them, at any depth of their second half, branches of 1 to 8 blocks. */
function shortBranches(maker: PathMaker): Load {
  const trunkBlocks = 242;
  const trunks = times(8, () => maker.path(trunkBlocks));
  const branches = times(200_000, (i) => {
    const from = trunkBlocks / 2 + maker.below(trunkBlocks / 2 + 1);
    return { from, path: maker.path(1 + maker.below(8), upTo(trunks[i % trunks.length]!, from)) };
  });
  const asked = branches.filter((_, i) => i % 50 === 0).map(({ path }) => path);
  return {
    before: () => trunks.flatMap((trunk) => times(64, (rank) => [...stored([maker.on(rank, trunk)], 64)]).flat()),
    *events() {
      for (const { from, path } of branches) yield* stored([path], 1, from);
    },
    blocks: branches.reduce((sum, { from, path }) => sum + path.tokens.length - from, 0),
    queries: asked.map((path) => maker.path(queryBlocks - path.tokens.length, path).tokens),
    goals: { ...shortGoals, bytes: 80 },
  };
}

/** Paths on random ranks with random hashes, from one seed. */
class PathMaker {
  private readonly ranks: number;
  private readonly ownHashes: boolean;
  private state = 1n;
  private next = 1;

  constructor(ranks: number, ownHashes: boolean) {
    this.ranks = ranks;
    this.ownHashes = ownHashes;
  }

  /** `blocks` new blocks below `stem`. */
  path(blocks: number, stem: Pick<Path, "tokens" | "numbers"> = { tokens: new BigUint64Array(), numbers: new Uint32Array() }): Path {
    const length = stem.tokens.length;
    const tokens = new BigUint64Array(length + blocks);
    const numbers = new Uint32Array(length + blocks);
    tokens.set(stem.tokens);
    numbers.set(stem.numbers);
    for (let i = length; i < tokens.length; i++) {
      tokens[i] = this.random();
      numbers[i] = this.next++;
    }
    return this.on(this.below(this.ranks), { tokens, numbers });
  }

  on(rank: number, { tokens, numbers }: Pick<Path, "tokens" | "numbers">): Path {
    return { rank, salt: this.ownHashes ? rank : 0, tokens, numbers };
  }

  below(limit: number): number {
    return Number(this.random() % BigInt(limit));
  }

  private random(): bigint {
    this.state = (this.state + 0x9e3779b97f4a7c15n) & mask;
    return mixed(this.state);
  }
}

function* stored(paths: readonly Path[], blocksPerEvent: number, from = 0): Iterable<RouterEvent> {
  for (const path of paths) {
    for (let start = from; start < path.tokens.length; start += blocksPerEvent) yield storedEvent(path, start, start + blocksPerEvent);
  }
}

function storedEvent({ rank, salt, tokens, numbers }: Path, start: number, end: number): RouterEvent {
  const blocks: StoredBlock[] = [];
  for (let i = start; i < Math.min(end, tokens.length); i++) {
    blocks.push({ block_hash: engineHash(numbers[i]!, salt), tokens_hash: tokens[i]! as BlockHash });
  }
  const parent_hash = start === 0 ? null : engineHash(numbers[start - 1]!, salt);
  return { worker_id: workerOf(rank), event: { event_id: 0n, data: { stored: { parent_hash, blocks } }, dp_rank: 0 } };
}

function removed({ rank, salt, numbers }: Path): RouterEvent {
  const block_hashes = Array.from(numbers, (number) => engineHash(number, salt)).reverse();
  return { worker_id: workerOf(rank), event: { event_id: 0n, data: { removed: { block_hashes } }, dp_rank: 0 } };
}

const engineHash = (number: number, salt: number): ExternalHash => mixed(BigInt(number * 256 + salt)) as ExternalHash;
/** Worker ids are lease ids: around 2^62. */
const workerOf = (rank: number): InstanceId => ((1n << 62n) + BigInt(rank)) as InstanceId;

/** The finaliser of SplitMix64: one to one, so different numbers give different hashes. */
function mixed(value: bigint): bigint {
  let bits = ((value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
  bits = ((bits ^ (bits >> 27n)) * 0x94d049bb133111ebn) & mask;
  return bits ^ (bits >> 31n);
}

function upTo({ tokens, numbers }: Path, blocks: number): Pick<Path, "tokens" | "numbers"> {
  return { tokens: tokens.slice(0, blocks), numbers: numbers.slice(0, blocks) };
}

const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index));
