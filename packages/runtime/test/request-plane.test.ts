// The request plane, both ends ours, over real NATS and etcd: what callers and handlers are promised.
import { AppError, encodeInstance, errorOf, type InstanceId, instanceKey } from "@mm-router/protocol";
import { type Handler, isNotTaken, StreamAborted } from "@mm-router/runtime";
import { getEventListeners } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { EtcdGateway } from "./etcd-gateway.ts";
import { callOf, dataOf, freshAddress, itemsOf, rejection, serveAndFollow, startRuntime, untilInstances } from "./test-runtime.ts";

let nats: NatsServer;
let etcd: EtcdServer;

beforeAll(async () => {
  [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
});

afterAll(async () => {
  await Promise.all([nats?.stop(), etcd?.stop()]);
});

const MiB = 1024 * 1024;

/** Waiting for what must come: the default, a second, is less than a busy machine may be away. */
const patient = { timeout: 30_000 };

/** Inodes of established connections of this process with a keep-alive timer (`/proc/net/tcp`, `tr` 02). */
function probedSockets(): Set<string> {
  const own = new Set(readdirSync("/proc/self/fd").map((fd) => socketOf(`/proc/self/fd/${fd}`)));
  const rows = ["tcp", "tcp6"].flatMap((family) => readFileSync(`/proc/net/${family}`, "utf8").trim().split("\n").slice(1));
  const probed = rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state, , timer, , , , inode]) => state === "01" && timer!.startsWith("02:") && own.has(inode));
  return new Set(probed.map((columns) => columns[9]!));
}

/** The inode of a socket's descriptor. */
function socketOf(descriptor: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(descriptor))?.[1];
  } catch {
    return undefined; // closed meanwhile
  }
}

/** Sends an item every 5 ms until the caller leaves; `left` resolves with the reason. */
function endless(): { handler: Handler; left: Promise<unknown> } {
  const left = Promise.withResolvers<unknown>();
  const handler: Handler = async ({ signal }, sink) => {
    signal.addEventListener("abort", () => left.resolve(signal.reason), { once: true });
    for (let index = 0; !signal.aborted; index++) {
      await sink.item({ data: index });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return { handler, left: left.promise };
}

describe.each(["nats", "tcp"] as const)("request plane over %s", (plane) => {
  it("streams the handler's items in order, integers beyond 2^53 exact, and ends", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client } = await serveAndFollow(runtime, async ({ body }, sink) => {
      for (let index = 0; index < 3; index++) await sink.item({ data: { index, big: 18446744073709551615n, body: body.toString() } });
    });
    const stream = await client.roundRobin(callOf({ big: 18446744073709551615n }));
    const body = '{"big":18446744073709551615}';
    expect(await dataOf(stream)).toEqual([0, 1, 2].map((index) => ({ index, big: 18446744073709551615n, body })));
  });

  it("answers a question in its acknowledgement, over TCP on either plane, and passes over an instance that is gone", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const endpoint = runtime.endpoint(freshAddress());
    await endpoint.serveAnswers((question) => Buffer.concat([question, Buffer.from("!")]));
    const client = endpoint.client();
    await untilInstances(client, 1);
    expect(client.instances.list()[0]?.transport.kind).toBe("tcp");
    const answers = await Promise.all(["a", "", "b".repeat(60_000)].map((text) => client.ask(Buffer.from(text))));
    expect(answers.map(String)).toEqual(["a!", "!", `${"b".repeat(60_000)}!`]);

    const nobody =
      plane === "nats" ? { kind: "nats" as const, subject: "nobody" } : { kind: "tcp" as const, host: "127.0.0.1", port: 9, path: "x" };
    const gone = { address: endpoint.address, instanceId: 1n as InstanceId, transport: nobody };
    await runtime.discovery.register(() => ({ key: instanceKey(gone.address, gone.instanceId), value: encodeInstance(gone) }));
    await untilInstances(client, 2);
    for (let turn = 0; turn < 3; turn++) expect(String(await client.ask(Buffer.from("c")))).toBe("c!");
  });

  it("hands context id, metadata and headers to the handler", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client } = await serveAndFollow(runtime, async ({ contextId, codec, metadata, headers }, sink) => {
      await sink.item({ data: { contextId, codec, metadata, headers } });
    });
    const call = callOf({}, { contextId: "not-a-uuid", metadata: { k: "v" }, headers: { traceparent: "00-1-2-01" } });
    const [seen] = await dataOf(await client.roundRobin(call));
    expect(seen).toMatchObject({ contextId: "not-a-uuid", codec: "json", metadata: { k: "v" } });
    expect(seen).toMatchObject({ headers: { "request-id": "not-a-uuid", traceparent: "00-1-2-01" } });
  });

  it("ends a stream without items normally", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client } = await serveAndFollow(runtime, async () => {});
    expect(await dataOf(await client.random(callOf({})))).toEqual([]);
  });

  it("gives two hundred requests at once each its own answer", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client } = await serveAndFollow(runtime, async ({ body }, sink) => sink.item({ data: body.toString() }));
    const indexes = Array.from({ length: 200 }, (_, index) => index);
    const answers = await Promise.all(indexes.map(async (index) => dataOf(await client.roundRobin(callOf(index)))));
    expect(answers).toEqual(indexes.map((index) => [`${index}`]));
  });

  it("relays the frames of one stream into another as they came", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const worker = await serveAndFollow(runtime, async (_request, sink) => {
      for (let index = 0; index < 500; index++) await sink.item({ data: { token_ids: [index] } });
    });
    const router = await serveAndFollow(runtime, async ({ contextId, body, signal }, sink) => {
      for await (const bodies of await worker.client.roundRobin({ contextId, body, signal })) await sink.frames(bodies);
    });
    expect(await dataOf(await router.client.roundRobin(callOf({})))).toEqual(
      Array.from({ length: 500 }, (_, index) => ({ token_ids: [index] })),
    );
  });

  it("turns a handler's error into an error item and a normal end, after what was sent before", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client } = await serveAndFollow(runtime, async (_request, sink) => {
      await sink.item({ data: 1 });
      throw new AppError("invalid_request", "too many images");
    });
    const items = await itemsOf(await client.roundRobin(callOf({})));
    expect(items).toHaveLength(2);
    expect(items[0]).toEqual({ data: 1 });
    expect(errorOf(items[1]!)).toMatchObject({ code: "invalid_request", status: 400, message: "too many images" });
  });

  it("says nothing about a bug to the caller, and everything to the log", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client } = await serveAndFollow(runtime, async () => {
      throw new TypeError("secret of the code");
    });
    const items = await itemsOf(await client.roundRobin(callOf({})));
    expect(JSON.stringify(items)).not.toContain("secret");
    expect(errorOf(items[0]!)).toMatchObject({ status: 500 });
    expect(runtime.lines.find((line) => line.includes("secret of the code"))).toContain('"level":"error"');
  });

  it("tells the handler when the caller's signal aborts, and ends the caller's stream", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { handler, left } = endless();
    const { client } = await serveAndFollow(runtime, handler);
    const abort = new AbortController();
    const stream = await client.roundRobin(callOf({}, { signal: abort.signal }));
    const reading = dataOf(stream);
    abort.abort();
    expect(await rejection(reading)).toMatchObject({ code: "client_closed" });
    expect(await left).toMatchObject({ code: "client_closed", message: "the caller said kill" });
  });

  it("tells the handler when the caller leaves its loop early", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { handler, left } = endless();
    const { client } = await serveAndFollow(runtime, handler);
    for await (const _bodies of await client.roundRobin(callOf({}))) break;
    expect(await left).toMatchObject({ code: "client_closed" });
  });

  it("does not call at all when the caller's signal has aborted before", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client } = await serveAndFollow(runtime, async () => expect.unreachable());
    await expect(client.roundRobin(callOf({}, { signal: AbortSignal.abort("why") }))).rejects.toMatchObject({
      code: "client_closed",
      cause: "why",
    });
  });

  it("is lost for the caller, and sets the instance aside, when the handler aborts its stream", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    await using other = await startRuntime({ nats, etcd }, { plane });
    const { client, served } = await serveAndFollow(runtime, async (_request, sink) => {
      await sink.item({ data: 1 });
      throw new StreamAborted("the worker behind died");
    });
    const second = await other.endpoint(client.address).serve(async () => {});
    await untilInstances(client, 2);
    const bodies: Buffer[] = [];
    const read = async (): Promise<void> => {
      for await (const batch of await client.direct(served.instanceId, callOf({}))) bodies.push(...batch);
    };
    expect(await rejection(read())).toMatchObject({ code: "worker_lost" });
    expect(bodies).toHaveLength(1);
    expect(client.instances.available().map(({ instanceId }) => instanceId)).toEqual([second.instanceId]);
  });

  it("carries items of 3 MiB in both directions of the codec", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client } = await serveAndFollow(runtime, async ({ body }, sink) => sink.item({ data: body.toString() }));
    const text = "x".repeat(3 * MiB);
    expect(await dataOf(await client.roundRobin(callOf(text)))).toEqual([`"${text}"`]);
  });

  it("holds the handler back while the caller does not read, and loses nothing", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    let sent = 0;
    const { client } = await serveAndFollow(runtime, async (_request, sink) => {
      for (; sent < 64; sent++) await sink.item({ data: { number: sent, pad: "x".repeat(MiB) } });
    });
    const stream = await client.roundRobin(callOf({}));
    await untilStill(() => sent);
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThan(40); // the kernel's buffers of both sides hold some MiB, nobody holds 64
    const numbers = (await dataOf(stream)).map((data) => (data as { number: number }).number);
    expect(numbers).toEqual(Array.from({ length: 64 }, (_, index) => index));
  });

  it("goes to the next instance when nobody is behind a record, and sets that one aside", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client } = await serveAndFollow(runtime, async (_request, sink) => sink.item({ data: "here" }));
    await putDeadInstance(client.address);
    await untilInstances(client, 2);
    for (let turn = 0; turn < 3; turn++) expect(await dataOf(await client.roundRobin(callOf({})))).toEqual(["here"]);
    expect(client.instances.available()).toHaveLength(1);
    expect(isNotTaken(await rejection(client.direct(deadId, callOf({}))))).toBe(true);
  });

  it("serves on after withdraw, takes nothing after drain, and lets the running stream finish", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const go = Promise.withResolvers<void>();
    const { client, served } = await serveAndFollow(runtime, async (_request, sink) => {
      await sink.item({ data: "first" });
      await go.promise;
      await sink.item({ data: "last" });
    });
    const { instanceId } = served;
    const [instance] = client.instances.list();
    const running = await client.direct(instanceId, callOf({}));
    await served.withdraw();
    await untilInstances(client, 0);
    client.close();
    const late = runtime.endpoint(client.address).client();
    await putRecord(instance!);
    await untilInstances(late, 1);
    const afterWithdraw = await late.direct(instanceId, callOf({}));
    const drained = served.drain(10_000);
    await vi.waitFor(async () => expect(isNotTaken(await rejection(late.direct(instanceId, callOf({}))))).toBe(true), patient);
    go.resolve();
    expect(await dataOf(running)).toEqual(["first", "last"]);
    expect(await dataOf(afterWithdraw)).toEqual(["first", "last"]);
    await drained;
  });

  it("ends what is still running after the drain's deadline without complete_final", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { handler, left } = endless();
    const { client, served } = await serveAndFollow(runtime, handler);
    const stream = await client.roundRobin(callOf({}));
    const reading = rejection(dataOf(stream));
    await served.drain(50);
    expect(await reading).toMatchObject({ code: "worker_lost" });
    expect(await left).toMatchObject({ message: "this process is shutting down" });
  });

  it("moves to the new id when the lease is lost: streams on the old id finish, new requests arrive", async () => {
    await using worker = await startRuntime({ nats, etcd }, { plane });
    await using caller = await startRuntime({ nats, etcd }, { plane });
    const go = Promise.withResolvers<void>();
    const address = freshAddress();
    const served = await worker.endpoint(address).serve(async (_request, sink) => {
      await sink.item({ data: "first" });
      await go.promise;
      await sink.item({ data: "last" });
    });
    const client = caller.endpoint(address).client();
    await untilInstances(client, 1);
    const oldId = served.instanceId;
    const running = await client.direct(oldId, callOf({}));

    await new EtcdGateway(etcd.url).revoke(oldId);
    await vi.waitUntil(() => client.instances.list().some(({ instanceId }) => instanceId !== oldId), patient);
    const newId = served.instanceId;
    expect(newId).not.toBe(oldId);
    expect(client.instances.list().map(({ instanceId }) => instanceId)).toEqual([newId]);
    const next = await client.direct(newId, callOf({}));
    go.resolve();
    expect(await dataOf(running)).toEqual(["first", "last"]);
    expect(await dataOf(next)).toEqual(["first", "last"]);
  });

  it("lets the system probe both ends of a stream that is silent", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { handler } = endless();
    const { client } = await serveAndFollow(runtime, handler);
    const before = probedSockets();
    for await (const _bodies of await client.random(callOf({}))) {
      await vi.waitFor(() => expect(probedSockets().difference(before).size).toBeGreaterThanOrEqual(2), patient);
      break;
    }
  });

  it("leaves nothing at a signal that many calls share", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client } = await serveAndFollow(runtime, async ({ body }) => {
      if (body.toString() === "1") throw new StreamAborted("gone");
    });
    const { signal } = new AbortController();
    const done = Array.from({ length: 20 }, async () => dataOf(await client.roundRobin(callOf(0, { signal }))));
    const lost = Array.from({ length: 5 }, async () =>
      rejection(client.direct(client.instances.list()[0]!.instanceId, callOf(1, { signal })).then(dataOf)),
    );
    await Promise.all([...done, ...lost]);
    for await (const _bodies of await client.random(callOf(0, { signal }))) break;
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("counts requests, their errors and their cancellations under Dynamo's names", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const { client, served } = await serveAndFollow(runtime, async ({ body }) => {
      if (body.toString() === "1") throw new AppError("invalid_request", "no");
    });
    for (const body of [0, 1]) await dataOf(await client.roundRobin(callOf(body)));
    await served.drain(5_000);
    const labels = `dynamo_namespace="${client.address.namespace}",dynamo_component="backend",dynamo_endpoint="generate"`;
    const text = await runtime.metrics.text();
    expect(text).toContain(`dynamo_component_requests_total{${labels}} 2`);
    expect(text).toContain(`dynamo_component_inflight_requests{${labels}} 0`);
    expect(text).toContain(`dynamo_component_errors_total{${labels},error_type="invalid_request"} 1`);
  });

  const deadId = 42n as InstanceId;

  /** A record without a process behind it, as kill -9 leaves it for a lease's time. */
  async function putDeadInstance(address: ReturnType<typeof freshAddress>): Promise<void> {
    const tcp = { kind: "tcp", host: "127.0.0.1", port: 1, path: "2a/x" } as const;
    const transport = plane === "nats" ? ({ kind: "nats", subject: `${address.namespace}.nobody` } as const) : tcp;
    await putRecord({ address, instanceId: deadId, transport });
  }

  async function putRecord(instance: Parameters<typeof encodeInstance>[0]): Promise<void> {
    await new EtcdGateway(etcd.url).put(instanceKey(instance.address, instance.instanceId), encodeInstance(instance));
  }
});

/** Waits until a number has stayed the same for 300 ms. */
async function untilStill(numberNow: () => number): Promise<void> {
  let last = Number.NaN;
  let since = 0;
  await vi.waitUntil(
    () => {
      if (numberNow() !== last) since = performance.now();
      last = numberNow();
      return performance.now() - since > 300;
    },
    { timeout: 20_000, interval: 20 },
  );
}
