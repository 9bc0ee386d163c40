// Where an indexer's snapshots live: an object in JetStream's object store, so that they outlast the process and the machine it ran on.
//
//   bucket mmr-kv-snapshot_{namespace}_{component}     chunks of 128 KiB, then the object's record with the SHA-256 of all of them
//
// The record comes last and names its chunks, so half an object is never found; what a killed writer leaves behind is purged. Any indexer
// of the component writes and reads the same object: the last one written counts. Dynamo ≤ 1.2 keeps its own index the same way (kv.md §5.4).
//
// I1  `read` ends with an error when a byte is not as it was written, or nothing comes for `stallMs`.
// I2  The bucket holds three of the largest objects: the one that counts, the one being written, and what a killed writer left.
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { type ObjectStore, Objm, setSha256Backend, StorageType } from "@nats-io/obj";
import { withDeadline } from "../flow/index.ts";
import { type CapturedComponent, encodeToken } from "./capture-stream.ts";

export interface SnapshotLimits {
  /** Largest snapshot. */
  readonly bytesMax: number;
  /** A snapshot older than the events' log is of no use. */
  readonly ageMaxS: number;
}

setSha256Backend("native"); // the other one is JavaScript, at a tenth of the speed

const stallMs = 5_000;
const bucketObjects = 3;

export class SnapshotStore {
  readonly #nats: NatsConnection;
  readonly #bucket: string;
  readonly #object: string;
  readonly #store: ObjectStore;
  /** Chunks without a record at the last look. */
  #orphans: ReadonlySet<string> = new Set();

  private constructor(nats: NatsConnection, bucket: string, object: string, store: ObjectStore) {
    this.#nats = nats;
    this.#bucket = bucket;
    this.#object = object;
    this.#store = store;
  }

  /** Makes the bucket; one that is there keeps its limits. @throws when the server has no JetStream or no room */
  static async open(nats: NatsConnection, captured: CapturedComponent, limits: SnapshotLimits): Promise<SnapshotStore> {
    const buckets = new Objm(jetstream(nats));
    const bucket = bucketOf(captured);
    const max_bytes = bucketObjects * limits.bytesMax;
    const made = buckets.create(bucket, { ttl: limits.ageMaxS * 1e9, max_bytes, storage: StorageType.File });
    const store = await made.catch(() => buckets.open(bucket));
    return new SnapshotStore(nats, bucket, `${captured.namespace}/${captured.component}`, store);
  }

  /** Stores a snapshot in the place of the one before; chunks are drawn as they are stored. */
  async write(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#store.put({ name: this.#object }, ReadableStream.from(chunks));
    await this.#purgeOrphans();
  }

  /** The stored snapshot's bytes, in chunks of any size; undefined when there is none. */
  async read(): Promise<AsyncIterable<Uint8Array> | undefined> {
    const found = await this.#store.get(this.#object);
    if (found === null) return undefined;
    found.error.catch(() => {}); // the stream of data ends with the same error
    return withoutStalling(found.data);
  }

  /** Another indexer may be writing now: what has no record is purged once it was seen at two writings in a row. */
  async #purgeOrphans(): Promise<void> {
    const prefix = `$O.${this.#bucket}.C.`;
    const stream = `OBJ_${this.#bucket}`;
    const manager = await jetstreamManager(this.#nats, { checkAPI: false });
    const current = `${prefix}${(await this.#store.info(this.#object))?.nuid}`;
    const { state } = await manager.streams.info(stream, { subjects_filter: `${prefix}>` });
    const orphans = new Set(Object.keys(state.subjects ?? {}).filter((subject) => subject !== current));
    for (const filter of orphans) if (this.#orphans.has(filter)) await manager.streams.purge(stream, { filter });
    this.#orphans = orphans;
  }
}

/** Bucket names take letters, digits, `-` and `_`; where two components share one, their objects have different names. */
function bucketOf({ namespace, component }: CapturedComponent): string {
  return `mmr-kv-snapshot_${encodeToken(namespace)}_${encodeToken(component)}`.replaceAll("%", "_");
}

async function* withoutStalling(data: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const reader = data.getReader();
  try {
    for (;;) {
      const { done, value } = await withDeadline(reader.read(), stallMs, "the next part of a snapshot");
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
