// The bytes of a snapshot: frames, each with its kind and length.
//
//   | kind u32 | length u32 | bytes |  …                                little-endian; lengths are multiples of 4
//   head    JSON: what this is, and up to where each stream had been applied when it was begun
//   rank    JSON: worker, dp rank, entries; then its image (packages/kv, rank-image.ts) in frames `words`
//   foot    JSON: per rank the last event that its image reflects at least; ranks that are not named changed too much meanwhile
//
// Events after the positions of the head, applied to ranks from their cursors of the foot on, lead to what the index held later.
// I1  A snapshot without its foot is none. I2  What another version wrote is refused, not guessed at.
import { AppError, type InstanceId, type JsonValue, parseJson, stringifyJson, type U64, u64, type WorkerKey } from "@mm-router/protocol";
import type { StreamPosition } from "@mm-router/runtime";
import { z } from "zod";

const format = "mm-router-index";
const version = 1;

export interface SnapshotHead {
  readonly namespace: string;
  readonly component: string;
  readonly positions: readonly StreamPosition[];
}

/** What is known of a rank beside its blocks. */
export interface RankState {
  readonly worker: WorkerKey;
  /** Last event applied; undefined: none since its past became unknown. */
  readonly cursor: U64 | undefined;
  /** Who published it, where envelopes say so. */
  readonly publisher: U64 | undefined;
  readonly isComplete: boolean;
  /** The stream that its last event came from. */
  readonly stream: string | undefined;
}

export type SnapshotFrame =
  | { readonly kind: "head"; readonly head: SnapshotHead }
  | { readonly kind: "rank"; readonly worker: WorkerKey; readonly entries: number }
  | { readonly kind: "words"; readonly words: Uint32Array }
  | { readonly kind: "foot"; readonly ranks: readonly RankState[] };

const kinds = ["head", "rank", "words", "foot"] as const;
const headerBytes = 8;
/** A slice is some 32 KiB, more where one path is longer. */
const frameBytesMax = 64 * 1024 * 1024;

export function encodeSnapshotFrame(frame: SnapshotFrame): Buffer {
  const bytes = frame.kind === "words" ? bytesOf(frame.words) : Buffer.from(stringifyJson(wireOf(frame)));
  const padding = -bytes.length & 3; // JSON may end in spaces
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(kinds.indexOf(frame.kind));
  header.writeUInt32LE(bytes.length + padding, 4);
  return Buffer.concat([header, bytes, Buffer.alloc(padding, " ")]);
}

/** @throws AppError `protocol_error` when the chunks are no whole frames, or what they are made of */
export async function* decodeSnapshot(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<SnapshotFrame, void, void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    for (let frame = firstFrame(rest); frame !== undefined; frame = firstFrame(rest)) {
      rest = rest.subarray(headerBytes + frame.bytes.length);
      yield frameOf(frame.kind, frame.bytes);
    }
  }
  if (rest.length > 0) throw new AppError("protocol_error", "a snapshot that ends within a frame");
}

function firstFrame(bytes: Buffer): { kind: number; bytes: Buffer } | undefined {
  if (bytes.length < headerBytes) return undefined;
  const length = bytes.readUInt32LE(4);
  if (length > frameBytesMax || length % 4 !== 0) throw new AppError("protocol_error", `a snapshot frame of ${length} bytes`);
  if (bytes.length < headerBytes + length) return undefined;
  return { kind: bytes.readUInt32LE(), bytes: bytes.subarray(headerBytes, headerBytes + length) };
}

const position = z.object({ stream: z.string(), created: z.string(), sequence: z.int().min(0), server_id: z.string() });
const headWire = z.object({
  format: z.literal(format),
  version: z.literal(version),
  namespace: z.string(),
  component: z.string(),
  positions: z.array(position),
});
const integer = z.union([z.int(), z.bigint()]);
const rankWire = z.object({ worker_id: integer, dp_rank: z.int().min(0) });
const imageWire = rankWire.extend({ entries: z.int().min(0) });
const stateWire = rankWire.extend({
  cursor: integer.nullable(),
  publisher: integer.nullable(),
  is_complete: z.boolean(),
  stream: z.string().nullable(),
});
const footWire = z.object({ ranks: z.array(stateWire) });

function wireOf(frame: Exclude<SnapshotFrame, { kind: "words" }>): object {
  if (frame.kind === "rank") return { ...keyWireOf(frame.worker), entries: frame.entries };
  if (frame.kind === "foot") return { ranks: frame.ranks.map(stateWireOf) };
  const { namespace, component, positions } = frame.head;
  const told = positions.map(({ serverId: server_id, ...rest }) => ({ ...rest, server_id }));
  return { format, version, namespace, component, positions: told };
}

const keyWireOf = ({ workerId, dpRank }: WorkerKey): object => ({ worker_id: workerId, dp_rank: dpRank });

function stateWireOf({ worker, cursor, publisher, isComplete, stream }: RankState): object {
  return {
    ...keyWireOf(worker),
    cursor: cursor ?? null,
    publisher: publisher ?? null,
    is_complete: isComplete,
    stream: stream ?? null,
  };
}

function frameOf(kind: number, bytes: Buffer): SnapshotFrame {
  switch (kinds[kind]) {
    case "head": {
      const { namespace, component, positions } = decoded(headWire, bytes);
      return {
        kind: "head",
        head: { namespace, component, positions: positions.map(({ server_id: serverId, ...rest }) => ({ ...rest, serverId })) },
      };
    }
    case "rank": {
      const rank = decoded(imageWire, bytes);
      return { kind: "rank", worker: keyOf(rank), entries: rank.entries };
    }
    case "words":
      return { kind: "words", words: wordsOf(bytes) };
    case "foot":
      return { kind: "foot", ranks: decoded(footWire, bytes).ranks.map(stateOf) };
    default:
      throw new AppError("protocol_error", `a snapshot frame of kind ${kind}`);
  }
}

function decoded<T>(schema: z.ZodType<T>, bytes: Buffer): T {
  const value: JsonValue = parseJson(bytes);
  const { data, error } = schema.safeParse(value);
  if (data === undefined) throw new AppError("protocol_error", "a snapshot of another form", { cause: error });
  return data;
}

const keyOf = ({ worker_id, dp_rank }: z.infer<typeof rankWire>): WorkerKey => ({
  workerId: u64(worker_id, "worker_id") as InstanceId,
  dpRank: dp_rank,
});

function stateOf(wire: z.infer<typeof stateWire>): RankState {
  return {
    worker: keyOf(wire),
    cursor: wire.cursor === null ? undefined : u64(wire.cursor, "cursor"),
    publisher: wire.publisher === null ? undefined : u64(wire.publisher, "publisher"),
    isComplete: wire.is_complete,
    stream: wire.stream ?? undefined,
  };
}

const bytesOf = (words: Uint32Array): Buffer => Buffer.from(words.buffer, words.byteOffset, words.byteLength);

/** A copy: frames do not begin at multiples of 4 in memory. */
function wordsOf(bytes: Buffer): Uint32Array {
  const words = new Uint32Array(bytes.length / 4);
  bytesOf(words).set(bytes);
  return words;
}
