// The simulated worker through our own runtime: what it registers, streams and publishes, and how its faults look to a caller.
import {
  AppError,
  decodeDataFrame,
  decodeEngineOutput,
  decodeEnvelope,
  decodeRecoveryAnswer,
  decodeRouterEvents,
  encodeRecoveryQuery,
  type EngineOutput,
  errorOf,
  parseInstanceKey,
  type RouterEvent,
  type StoredBlock,
} from "@mm-router/protocol";
import { connectRuntime, createLogger, createMetrics, parseConfig, type Runtime, runtimeConfigOf, runtimeFields } from "@mm-router/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { etcdEntries } from "../src/etcd-view.ts";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "../src/infra.ts";
import { modelDir, specialTokens } from "../src/model-dir.ts";
import { dataUrl, solidPng } from "../src/picture.ts";
import { type FaultKind, sentenceScript, simulatedSentence } from "../src/simulated-worker/script.ts";
import { type SimulatedWorker, startSimulatedWorker } from "../src/simulated-worker/worker.ts";

const log = createLogger({ service: "test", level: "error" });

describe("startSimulatedWorker", () => {
  let nats: NatsServer;
  let etcd: EtcdServer;
  let worker: SimulatedWorker;
  let workerRuntime: Runtime;
  let runtime: Runtime;
  const address = { namespace: "test", component: "backend", endpoint: "generate" };

  const connect = (): Promise<Runtime> => {
    const config = parseConfig(runtimeFields, [], { NATS_SERVER: nats.url, ETCD_ENDPOINTS: etcd.url });
    return connectRuntime(runtimeConfigOf(config, { name: "test", version: "0" }), { log, metrics: createMetrics() });
  };
  /** A request that begins with this token fails so after two tokens. */
  const faults: Readonly<Record<number, FaultKind>> = { 901: "error", 902: "cut", 903: "hang" };

  beforeAll(async () => {
    [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
    [runtime, workerRuntime] = await Promise.all([connect(), connect()]);
    worker = await startSimulatedWorker(workerRuntime, {
      address,
      model: modelDir({ modelType: "qwen2_vl" }),
      servedName: "m__internal",
      engine: { tokenMs: 1, blocks: 64 },
      script: ({ index, prompt }) => {
        const kind = faults[prompt[0]!];
        return sentenceScript(simulatedSentence.length, kind && { kind, afterTokens: 2 })({ index, prompt });
      },
      log,
    });
  });
  afterAll(async () => {
    await worker.close(1_000);
    await Promise.all([runtime.close(), workerRuntime.close()]);
    await Promise.all([nats.stop(), etcd.stop()]);
  });

  async function call(
    request: object,
    { signal = AbortSignal.timeout(30_000), onOutput = (_soFar: readonly EngineOutput[]) => {} } = {},
  ): Promise<{ outputs: EngineOutput[]; error?: AppError }> {
    const client = runtime.endpoint(address).client();
    await client.ready();
    const outputs: EngineOutput[] = [];
    try {
      const body = Buffer.from(JSON.stringify({ stop_conditions: { max_tokens: 6 }, ...request }));
      for await (const frames of await client.direct(worker.instanceId, { contextId: crypto.randomUUID(), body, signal })) {
        for (const frame of frames) {
          const { item = {} } = decodeDataFrame("json", frame);
          const error = errorOf(item);
          if (error !== undefined) throw error;
          outputs.push(decodeEngineOutput(item.data));
          onOutput(outputs);
        }
      }
      return { outputs };
    } catch (error) {
      if (error instanceof AppError) return { outputs, error };
      throw error;
    } finally {
      client.close();
    }
  }

  const tokensOf = (outputs: readonly EngineOutput[]) => outputs.flatMap(({ token_ids }) => token_ids);
  const prompt = (first: number, length = 64): number[] => Array.from({ length }, (_, at) => first + at);

  async function eventsDuring(work: () => Promise<unknown>, stored: number): Promise<RouterEvent[]> {
    await (await workerRuntime.nats()).flush(); // what was published before does not count
    const connection = await runtime.nats();
    const subscription = connection.subscribe("namespace.test.component.backend.endpoint.generate.kv-events");
    const events: RouterEvent[] = [];
    const listening = (async () => {
      for await (const message of subscription) {
        events.push(...decodeRouterEvents(decodeEnvelope(message.data).payload));
        if (events.length >= stored) return;
      }
    })();
    await connection.flush();
    await work();
    await listening;
    subscription.unsubscribe();
    return events;
  }

  it("registers instance, card, event channel, event source and recovery endpoint, and says that it is simulated", async () => {
    const entries = await etcdEntries(etcd.url, "v1/");
    const id = worker.instanceId.toString(16);
    const kinds = entries.map(({ key }) => key.replaceAll(/[0-9a-f]{8,}/g, (hex) => (hex === id ? "ID" : "PUBLISHER")));
    expect(kinds).toEqual([
      "v1/event_channels/namespace/test/component/backend/endpoint/generate/topic/kv-events/PUBLISHER",
      "v1/event_sources/namespace/test/component/backend/endpoint/generate/topic/kv-events/PUBLISHER",
      "v1/instances/test/backend/generate/ID",
      "v1/instances/test/backend/worker_kv_query_source_PUBLISHER/ID",
      "v1/mdc/test/backend/generate/ID",
    ]);
    expect(entries.at(-1)?.value).toContain('"runtime_data":{"engine":"simulated"}');
  });

  it("streams its sentence token by token, with usage at the end", async () => {
    const { outputs, error } = await call({ token_ids: prompt(1000) });
    expect(error).toBeUndefined();
    expect(tokensOf(outputs)).toEqual(simulatedSentence.slice(0, 6));
    expect(outputs.at(-1)).toMatchObject({
      finish_reason: "length",
      completion_usage: { prompt_tokens: 64, completion_tokens: 6, total_tokens: 70 },
    });
    const whole = await call({ token_ids: prompt(1000), stop_conditions: { max_tokens: 100 } });
    expect(tokensOf(whole.outputs)).toEqual(simulatedSentence);
    expect(whole.outputs.at(-1)).toMatchObject({
      finish_reason: "stop",
      completion_usage: { prompt_tokens_details: { cached_tokens: 32 } },
    });
  });

  it("streams every choice that is asked for, each to its own end", async () => {
    const { outputs, error } = await call({ token_ids: prompt(1100), sampling_options: { n: 3 } });
    expect(error).toBeUndefined();
    for (const index of [0, 1, 2]) {
      const choice = outputs.filter((output) => output.index === index);
      expect(tokensOf(choice)).toEqual(simulatedSentence.slice(0, 6));
      expect(choice.filter(({ finish_reason }) => finish_reason !== undefined)).toHaveLength(1);
      expect(choice.at(-1)).toMatchObject({ finish_reason: "length", completion_usage: { completion_tokens: 6 } });
    }
  });

  it("publishes the blocks it stores and tells them again when asked", async () => {
    const [event] = await eventsDuring(() => call({ token_ids: prompt(2000, 65) }), 1);
    expect(event).toMatchObject({
      worker_id: worker.instanceId,
      storage_tier: "device",
      event: { data: { stored: { parent_hash: null } } },
    });
    const source = (await etcdEntries(etcd.url, "v1/instances/test/backend/worker_kv_query_source_"))[0]!;
    const client = runtime.endpoint(parseInstanceKey(source.key)!.address).client();
    await client.ready();
    const query = { worker: { workerId: worker.instanceId, dpRank: 0 }, start: null, end: null };
    const asked = { contextId: "recovery", body: encodeRecoveryQuery("json", query), signal: AbortSignal.timeout(5_000) };
    const frames: Buffer[] = [];
    for await (const batch of await client.direct(worker.instanceId, asked)) frames.push(...batch);
    client.close();
    const answer = decodeRecoveryAnswer("json", frames[0]!);
    expect(answer.kind).toBe("dump");
    const told = "events" in answer ? answer.events.flatMap(blocksOf) : [];
    expect(told).toEqual(expect.arrayContaining(blocksOf(event!)));
    expect("lastEventId" in answer && answer.lastEventId).toBeGreaterThanOrEqual(event!.event.event_id);
  });

  it("names an image as the request does", async () => {
    const request = {
      token_ids: [...prompt(3000, 20), specialTokens.visionStart, specialTokens.image, specialTokens.visionEnd, ...prompt(3100, 20)],
      multi_modal_data: { image_url: [{ Url: dataUrl(solidPng(336, 336, 0x123456)) }] },
      extra_args: { mm_hashes: ["00000000000000ff"] },
    };
    const [event] = await eventsDuring(() => call(request), 1);
    const images = blocksOf(event!).map(({ mm_extra_info }) => mm_extra_info?.mm_objects.map(({ mm_hash }) => mm_hash));
    expect(images).toEqual([[0xffn], [0xffn], [0xffn], [0xffn], [0xffn]]); // 20 + 1 + 144 tokens touch all five full blocks
  });

  it("refuses what a real worker refuses: a count that does not fit, an image that is none", async () => {
    const picture = { Url: dataUrl(solidPng(28, 28, 0)) };
    const two = await call({ token_ids: [specialTokens.image], multi_modal_data: { image_url: [picture, picture] } });
    expect(two.error?.message).toContain("Number of placeholders (1) does not match number of images (2)");
    const none = await call({ token_ids: [specialTokens.image], multi_modal_data: { image_url: [{ Url: "data:image/png;base64,aGk=" }] } });
    expect(none.error?.message).toContain("Unsupported media type");
  });

  it("fails as scripted: an error item, a stream without its end mark, silence", async () => {
    const failed = await call({ token_ids: prompt(901) });
    expect([tokensOf(failed.outputs).length, failed.error?.message]).toEqual([2, "simulated engine failure"]);
    const cut = await call({ token_ids: prompt(902) });
    expect([tokensOf(cut.outputs).length, cut.error?.code]).toEqual([2, "worker_lost"]);
    const leaving = new AbortController();
    const leave = (soFar: readonly EngineOutput[]): void => {
      if (tokensOf(soFar).length === 2) setTimeout(() => leaving.abort(), 200); // in which nothing comes
    };
    const hung = await call({ token_ids: prompt(903) }, { signal: leaving.signal, onOutput: leave });
    expect([tokensOf(hung.outputs).length, hung.error?.code]).toEqual([2, "client_closed"]);
  });
});

function blocksOf({ event }: RouterEvent): StoredBlock[] {
  if (event.data === "cleared" || !("stored" in event.data)) throw new Error("a stored event was expected");
  return [...event.data.stored.blocks];
}
