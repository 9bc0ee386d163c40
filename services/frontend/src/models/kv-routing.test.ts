import { type Booking, blockHashes } from "@mm-router/kv";
import type { Instance, InstanceId, ModelCard, RankScore } from "@mm-router/protocol";
import { ManualClock, type ResponseStream } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import { bookedStream, type KvPrompt, KvRouting } from "./kv-routing.ts";

const ids = [1n, 2n] as InstanceId[];
const tokenIds = Uint32Array.from({ length: 64 }, (_, at) => at);
const worker = { instanceId: 1n, transport: { kind: "nats", subject: "s" } } as unknown as Instance;
const signal = new AbortController().signal;

function routing(scores: RankScore[] = [], config: object = {}) {
  const asked: BigUint64Array[] = [];
  const card = { display_name: "m", kv_cache_block_size: 16, runtime_config: config } as ModelCard;
  const index = { query: async (_model: string, hashes: BigUint64Array) => (asked.push(hashes), { scores }) };
  const kv = new KvRouting({ card, loraName: undefined, index, config: {}, clock: new ManualClock(), random: () => 0, close: () => {} });
  const plan = (prompt: Partial<KvPrompt> = {}) => kv.plan({ tokenIds, hasMedia: false, cacheSalt: undefined, ...prompt }, worker, signal);
  return { kv, plan, asked };
}

describe("KV routing", () => {
  it("asks the index for the prompt's blocks, and goes to their holder", async () => {
    const { kv, plan, asked } = routing([{ worker: { workerId: 2n as InstanceId, dpRank: 0 }, blocks: 3 }]);
    const booking = kv.book(await plan(), ids, undefined);
    expect(asked).toEqual([blockHashes({ tokens: tokenIds, blockSize: 16 })]);
    expect([booking.worker.workerId, booking.overlapBlocks]).toEqual([2n, 3]);
  });

  it("knows nothing of the blocks of pictures", async () => {
    const { plan, asked } = routing();
    await plan({ hasMedia: true });
    expect(asked[0]!.length).toBe(0);
  });

  it("leaves a worker alone that has enough to do, until its streams are over", async () => {
    const { kv, plan } = routing();
    const first = kv.book(await plan(), ids, undefined);
    const other = kv.book(await plan({ tokenIds: tokenIds.map((id) => id + 100) }), ids, undefined);
    expect(other.worker.workerId).not.toBe(first.worker.workerId);
    first.free();
    const third = kv.book(await plan({ tokenIds: tokenIds.map((id) => id + 200) }), ids, undefined);
    expect(third.worker.workerId).toBe(first.worker.workerId);
  });

  it("books the ranks that the card tells, or the one that is wanted", async () => {
    const { kv, plan } = routing([{ worker: { workerId: 1n as InstanceId, dpRank: 5 }, blocks: 4 }], {
      data_parallel_start_rank: 4,
      data_parallel_size: 2,
    });
    expect(kv.book(await plan(), ids, undefined).worker).toEqual({ workerId: 1n, dpRank: 5 });
    expect(kv.book(await plan(), ids, 4).worker.dpRank).toBe(4);
  });
});

describe("the stream of a booked request", () => {
  const booking = () => {
    const told: string[] = [];
    return { told, booking: { prefillDone: () => told.push("prefill"), free: () => told.push("free") } as unknown as Booking };
  };
  const stream = async function* () {
    yield [Buffer.from("a")];
    throw new Error("lost");
  };

  it("ends its prefill with the first items and frees it when it fails", async () => {
    const { told, booking: booked } = booking();
    const read = async () => {
      for await (const _batch of bookedStream({ [Symbol.asyncIterator]: stream } as unknown as ResponseStream, booked, signal));
    };
    await expect(read()).rejects.toThrow("lost");
    expect(told).toEqual(["prefill", "free"]);
  });

  it("frees it when the request is given up before anybody read", () => {
    const { told, booking: booked } = booking();
    const abort = new AbortController();
    bookedStream({ [Symbol.asyncIterator]: stream } as unknown as ResponseStream, booked, abort.signal);
    abort.abort();
    expect(told).toEqual(["free"]);
  });
});
