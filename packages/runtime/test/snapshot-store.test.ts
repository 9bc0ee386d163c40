// Snapshots in a real object store: whole or not at all, the last one counts, nothing is left behind.
import { randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import { SnapshotStore } from "@mm-router/runtime";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type NatsCell, startNatsCell, stopNatsCell } from "./nats-cell.ts";

const limits = { bytesMax: 16 * 1024 * 1024, ageMaxS: 600 };
let cell: NatsCell;
let nats: NatsConnection;

beforeAll(async () => {
  cell = await startNatsCell();
  nats = cell.nats;
});

afterAll(() => stopNatsCell(cell));

async function freshStore() {
  const where = { namespace: `t.${randomUUID().slice(0, 8)}`, component: "backend" };
  const stream = `OBJ_mmr-kv-snapshot_${where.namespace.replace(".", "_2E")}_backend`;
  const manager = await jetstreamManager(nats);
  const chunksOf = async (): Promise<string[]> =>
    Object.keys((await manager.streams.info(stream, { subjects_filter: "$O.*.C.>" })).state.subjects ?? {});
  return { where, stream, manager, chunksOf, store: await SnapshotStore.open(nats, where, limits) };
}

/** Bytes that differ from place to place. */
const bytes = (length: number, seed: number): Buffer =>
  Buffer.from(Uint32Array.from({ length: length / 4 }, (_, i) => i * 2_654_435 + seed).buffer);

async function* pieces(whole: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
}

async function read(store: SnapshotStore): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.read())!) chunks.push(chunk);
  return Buffer.concat(chunks);
}

it("gives the last snapshot back byte for byte, to another process, too", async () => {
  const { store, where, chunksOf } = await freshStore();
  expect(await store.read()).toBe(undefined);
  await store.write(pieces(bytes(1_000_000, 1), 70_000));
  await store.write(pieces(bytes(700_000, 2), 100));
  expect(await read(await SnapshotStore.open(nats, where, { ...limits, ageMaxS: 60 }))).toEqual(bytes(700_000, 2));
  expect(await chunksOf()).toHaveLength(1);
});

it("keeps the one before when a writer fails or is killed, and purges what a killed one left", async () => {
  const { store, where, stream, chunksOf } = await freshStore();
  await store.write(pieces(bytes(300_000, 1), 70_000));
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    yield* pieces(bytes(300_000, 2), 70_000);
    throw new Error("no more");
  };
  await expect(store.write(failing())).rejects.toThrow("no more");
  expect(await read(store)).toEqual(bytes(300_000, 1));
  const orphan = `$O.${stream.slice("OBJ_".length)}.C.orphan`;
  await nats.request(orphan, bytes(1_000, 3)); // as a killed writer leaves it: chunks, no record
  expect(await chunksOf()).toContain(orphan);
  const other = await SnapshotStore.open(nats, where, limits);
  for (const seed of [4, 5]) {
    await other.write(pieces(bytes(1_000, seed), 1_000));
    expect(await read(store)).toEqual(bytes(1_000, seed));
  }
  expect(await chunksOf()).toHaveLength(1);
});

it("ends with an error when chunks are missing or changed", async () => {
  const { store, stream, manager, chunksOf } = await freshStore();
  await store.write(pieces(bytes(300_000, 1), 70_000));
  const [subject] = (await chunksOf()) as [string];
  const { seq } = await manager.streams.getMessage(stream, { last_by_subj: subject }).then((message) => message!);
  await manager.streams.deleteMessage(stream, seq);
  await expect(read(store)).rejects.toThrow("corrupt");
  await nats.request(subject, bytes(300_000 % (128 * 1024), 9)); // as long as the one that is gone
  await expect(read(store)).rejects.toThrow("corrupt");
  await manager.streams.purge(stream, { filter: subject });
  await expect(read(store)).rejects.toThrow("took longer");
});
