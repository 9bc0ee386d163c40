// The request plane when something breaks: processes killed, servers restarted, peers that stop in the middle.
import { fork } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import {
  decodeRequestEnvelope,
  type EndpointAddress,
  encodeAck,
  encodeHandshake,
  encodeInstance,
  encodePrologue,
  type InstanceId,
  instanceKey,
  type Transport,
} from "@mm-router/protocol";
import { type EndpointClient, isNotTaken, type RequestPlaneConfig, requestPlaneDefaults, SharedNats } from "@mm-router/runtime";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { quiet } from "./etcd-cell.ts";
import { EtcdGateway } from "./etcd-gateway.ts";
import { callOf, dataOf, freshAddress, rejection, serveAndFollow, startRuntime, type TestRuntime, untilInstances } from "./test-runtime.ts";

let nats: NatsServer;
let etcd: EtcdServer;

beforeAll(async () => {
  [nats, etcd] = await Promise.all([startNats({ maxPayload: "1MB" }), startEtcd()]);
});

afterAll(async () => {
  await Promise.all([nats?.stop(), etcd?.stop()]);
});

/** Long enough for a loaded machine to ack, short enough for a test. */
const short: Partial<RequestPlaneConfig> = { ackTimeoutMs: 1_000, prologueTimeoutMs: 500, closeTimeoutMs: 500 };

/** A TCP endpoint that answers each request frame with `answer`, and says so in etcd. */
async function rawTcpEndpoint(address: EndpointAddress, answer: Buffer): Promise<AsyncDisposable> {
  const server = createServer((socket) => {
    socket.on("data", () => socket.write(answer));
    socket.on("error", () => {});
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await putRecord(address, { kind: "tcp", host: "127.0.0.1", port, path: "1/x" });
  return { [Symbol.asyncDispose]: async () => void server.close() };
}

async function putRecord(address: EndpointAddress, transport: Transport): Promise<void> {
  const instanceId = 1n as InstanceId;
  await new EtcdGateway(etcd.url).put(instanceKey(address, instanceId), encodeInstance({ address, instanceId, transport }));
}

async function clientOf(runtime: TestRuntime, address: EndpointAddress): Promise<EndpointClient> {
  const client = runtime.endpoint(address).client();
  await untilInstances(client, 1);
  return client;
}

describe.each(["nats", "tcp"] as const)("a worker over %s", (plane) => {
  it("that is killed in mid-stream is lost for the caller within two seconds", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane, ackTimeoutMs: 1_000 });
    const address = freshAddress();
    const where = JSON.stringify({ nats: nats.url, etcd: etcd.url, plane, address });
    const worker = fork(join(import.meta.dirname, "serving-process.ts"), [where]);
    const client = await clientOf(runtime, address);
    const stream = (await client.roundRobin(callOf({})))[Symbol.asyncIterator]();
    await stream.next();
    worker.kill("SIGKILL");
    const killedAt = performance.now();
    const readOn = async (): Promise<void> => {
      while (!(await stream.next()).done);
    };
    expect(await rejection(readOn())).toMatchObject({ code: "worker_lost" });
    expect(performance.now() - killedAt).toBeLessThan(2_000);
    await once(worker, "exit");
    expect(isNotTaken(await rejection(client.roundRobin(callOf({}))))).toBe(true); // its record stays for the lease's time
  });

  it("that acks and stays silent costs the caller the prologue's deadline, and no more", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane, ...short });
    const address = freshAddress();
    const connection = await runtime.nats();
    const subject = `${address.namespace}.silent`;
    connection.subscribe(subject, { callback: (_error, message) => void message.respond() });
    await using _endpoint = plane === "tcp" ? await rawTcpEndpoint(address, encodeAck()) : await natsRecord(address, subject);
    const client = await clientOf(runtime, address);
    const error = await rejection(client.roundRobin(callOf({})));
    expect(error).toMatchObject({ code: "deadline_exceeded", message: "the worker took the request but opened no stream within 500 ms" });
    expect(isNotTaken(error)).toBe(true);
  });

  it("that neither acks nor answers costs the caller the ack's deadline", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane, ...short });
    const address = freshAddress();
    const connection = await runtime.nats();
    const subject = `${address.namespace}.deaf`;
    connection.subscribe(subject, { callback: () => {} });
    await using _endpoint = plane === "tcp" ? await rawTcpEndpoint(address, Buffer.alloc(0)) : await natsRecord(address, subject);
    const error = await rejection((await clientOf(runtime, address)).roundRobin(callOf({})));
    expect((error as Error).message).toMatch(/no ack (over NATS )?within 1000 ms/);
    expect(isNotTaken(error)).toBe(true);
  });
});

async function natsRecord(address: EndpointAddress, subject: string): Promise<AsyncDisposable> {
  await putRecord(address, { kind: "nats", subject });
  return { [Symbol.asyncDispose]: async () => {} };
}

describe("an ack with a text", () => {
  it("is a refusal: overload goes by its name, everything else as a lost worker", async () => {
    for (const [text, code] of [
      ["Server overloaded: worker at capacity", "overloaded"],
      ["Unknown endpoint: x", "worker_lost"],
    ] as const) {
      await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp" });
      const address = freshAddress();
      await using _endpoint = await rawTcpEndpoint(address, encodeAck(text));
      const error = await rejection((await clientOf(runtime, address)).roundRobin(callOf({})));
      expect(error).toMatchObject({ code, message: `the instance refused the request: ${text}` });
      expect(isNotTaken(error)).toBe(true);
    }
  });
});

describe("a request above NATS's max_payload", () => {
  it("fails with what to do about it, and goes to no other instance", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "nats" });
    const { client } = await serveAndFollow(runtime, async () => {});
    const error = await rejection(client.roundRobin(callOf("x".repeat(1_500_000))));
    expect(error).toMatchObject({ code: "body_too_large" });
    expect((error as Error).message).toMatch(/max_payload.*DYN_REQUEST_PLANE=tcp/);
    expect(isNotTaken(error)).toBe(false);
    expect(await dataOf(await client.roundRobin(callOf("x".repeat(900_000))))).toEqual([]);
  });
});

describe("a NATS server that is killed and comes back", () => {
  it("leaves open streams alone, and both sides find it again", async () => {
    await using server = await startNats();
    await using runtime = await startRuntime({ nats: server, etcd }, { plane: "nats" });
    const go = Promise.withResolvers<void>();
    const { client } = await serveAndFollow(runtime, async ({ body }, sink) => {
      if (body.toString() === '"wait"') await go.promise;
      await sink.item({ data: "done" });
    });
    const open = await client.roundRobin(callOf("wait"));
    await server.kill();
    await server.restart();
    await vi.waitFor(async () => expect(await dataOf(await client.roundRobin(callOf("now")))).toEqual(["done"]), { timeout: 30_000 });
    go.resolve();
    expect(await dataOf(open)).toEqual(["done"]);
  });

  it("that is frozen is told as what it is, no other instance being tried, and serves again when it is thawed", async () => {
    await using server = await startNats();
    await using runtime = await startRuntime({ nats: server, etcd }, { plane: "nats", ...short });
    const { client } = await serveAndFollow(runtime, async (_request, sink) => sink.item({ data: "done" }));
    server.freeze();
    const error = await rejection(client.roundRobin(callOf({})));
    expect(error).toMatchObject({ code: "dependency_unreachable", message: "the NATS server does not answer" });
    expect(isNotTaken(error)).toBe(false);
    expect(client.instances.available()).toEqual(client.instances.list());
    server.thaw();
    await vi.waitFor(async () => expect(await dataOf(await client.roundRobin(callOf({})))).toEqual(["done"]), { timeout: 30_000 });
  });

  it("that was left for good is told as what it is, to who waits and to who comes", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "nats" });
    const address = freshAddress();
    const connection = await runtime.nats();
    const asked = Promise.withResolvers<void>();
    connection.subscribe(`${address.namespace}.silent`, { callback: () => asked.resolve() });
    await natsRecord(address, `${address.namespace}.silent`);
    const client = await clientOf(runtime, address);
    const waiting = rejection(client.roundRobin(callOf({})));
    await asked.promise;
    await connection.close();
    const unreachable = { code: "dependency_unreachable", message: "the NATS server does not answer" };
    expect(await waiting).toMatchObject(unreachable);
    expect(await rejection(client.roundRobin(callOf({})))).toMatchObject(unreachable);
  });

  it("that never was is told in one sentence within the deadline", async () => {
    const nobody = new SharedNats({ servers: "nats://127.0.0.1:1" }, { name: "test", deadlineMs: 300 }, quiet);
    const error = await rejection(nobody.connection());
    expect(error).toMatchObject({ code: "dependency_unreachable" });
    expect((error as Error).message).toBe("no NATS server answers at nats://127.0.0.1:1: start nats-server or set NATS_SERVER");
    await nobody.close();
  });
});

describe("an open stream", () => {
  it("that says nothing for longer than the idle deadline is given up", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp", idleTimeoutMs: 300 });
    const { client } = await serveAndFollow(runtime, async ({ signal }) => {
      await once(signal, "abort");
    });
    expect(await rejection(dataOf(await client.roundRobin(callOf({}))))).toMatchObject({ code: "deadline_exceeded" });
  });

  it("is not given up because its reader is slow", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp", idleTimeoutMs: 100, readAheadBytes: 1 });
    const { client } = await serveAndFollow(runtime, async (_request, sink) => {
      for (let index = 0; index < 20; index++) await sink.item({ data: "x".repeat(1_000_000) });
    });
    const stream = await client.roundRobin(callOf({}));
    await new Promise((resolve) => setTimeout(resolve, 400)); // the fact to be shown is that time passed
    expect(await dataOf(stream)).toHaveLength(20);
  });

  it("with garbage in it ends as a protocol error, and the others go on", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "nats" });
    const { client } = await serveAndFollow(runtime, async ({ body }, sink) => {
      if (body.toString() === '"garbage"') await sink.frames([Buffer.from("no JSON")]);
      await sink.item({ data: "fine" });
    });
    const [garbage, fine] = await Promise.all([client.roundRobin(callOf("garbage")), client.roundRobin(callOf("x"))]);
    expect(await rejection(dataOf(garbage))).toMatchObject({ code: "protocol_error" });
    expect(await dataOf(fine)).toEqual(["fine"]);
  });
});

describe("too many requests", () => {
  it("that wait for their workers are refused at once by the caller", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp", ...short, pendingStreamsMax: 3 });
    const address = freshAddress();
    await using _endpoint = await rawTcpEndpoint(address, encodeAck());
    const client = await clientOf(runtime, address);
    const errors = await Promise.all(Array.from({ length: 4 }, () => rejection(client.roundRobin(callOf({})))));
    expect(errors.filter((error) => (error as { code: string }).code === "overloaded")).toHaveLength(1);
  });

  it("in progress are answered as overload by the worker", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp", requestsInProgressMax: 1 });
    const go = Promise.withResolvers<void>();
    const { client } = await serveAndFollow(runtime, () => go.promise);
    const first = await client.roundRobin(callOf({}));
    const [body] = await (await client.roundRobin(callOf({})))
      [Symbol.asyncIterator]()
      .next()
      .then(({ value }) => value as Buffer[]);
    expect(body!.toString()).toContain('\\"code\\":529');
    go.resolve();
    expect(await dataOf(first)).toEqual([]);
  });
});

describe("a prologue with an error", () => {
  it("is a refusal with the worker's text", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "nats" });
    const address = freshAddress();
    const subject = `${address.namespace}.refuses`;
    const connection = await runtime.nats();
    connection.subscribe(subject, {
      callback: (_error, message) => {
        message.respond();
        const { control } = decodeRequestEnvelope(message.data, requestPlaneDefaults);
        callHome(control.callHome.address, [encodeHandshake(control.callHome.subject), encodePrologue("refused by worker")]);
      },
    });
    await natsRecord(address, subject);
    const error = await rejection((await clientOf(runtime, address)).roundRobin(callOf({})));
    expect(error).toMatchObject({ code: "worker_lost", message: "the worker refused the request: refused by worker" });
    expect(isNotTaken(error)).toBe(true);
  });
});

function callHome(address: string, frames: readonly Buffer[]): void {
  const [host, port] = address.split(":") as [string, string];
  connect(Number(port), host).end(Buffer.concat(frames));
}
