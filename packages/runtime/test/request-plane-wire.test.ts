// Our worker's side met by bytes instead of by our caller: what real callers of all releases send and see.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import {
  AckDecoder,
  decodeBody,
  decodeHandshake,
  decodePrologue,
  encodeBody,
  encodeControl,
  encodeHandshake,
  encodeTcpRequest,
  encodeTwoPart,
  type InstanceId,
  isSentinel,
  killFrame,
  parseJson,
  stopFrame,
  tcpPathOf,
  TwoPartDecoder,
  type TwoPartFrame,
} from "@mm-router/protocol";
import { type Handler, requestPlaneDefaults } from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { freePort } from "../src/process/free-port.ts";
import { ResponseServer } from "../src/request-plane/response-server.ts";
import { parseSocketAddress } from "../src/request-plane/socket-address.ts";
import { quiet } from "./etcd-cell.ts";
import { freshAddress, serveAndFollow, startRuntime, type TestRuntime } from "./test-runtime.ts";

let nats: NatsServer;
let etcd: EtcdServer;

beforeAll(async () => {
  [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
});

afterAll(async () => {
  await Promise.all([nats?.stop(), etcd?.stop()]);
});

const limits = { frameBytesMax: 1024 * 1024 };

/** A caller made of sockets: one port to call home to, frames as they come. */
async function rawCaller() {
  const frames: TwoPartFrame[] = [];
  const ended = Promise.withResolvers<void>();
  const connected = Promise.withResolvers<Socket>();
  const server = createServer((socket) => {
    const decoder = new TwoPartDecoder(limits);
    socket.on("data", (chunk) => void frames.push(...decoder.push(chunk)));
    socket.on("end", ended.resolve).on("error", () => {});
    connected.resolve(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    callHome: { address: `127.0.0.1:${port}`, subject: "3b1c" },
    frames,
    connected: connected.promise,
    ended: ended.promise,
    /** Waits until that many frames have come. */
    frame: (count: number) => vi.waitUntil(() => frames.length >= count, { timeout: 30_000, interval: 10 }),
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

/** Serves over TCP and opens a connection to the request port. */
async function rawConnection(runtime: TestRuntime, handler: Handler) {
  const { client } = await serveAndFollow(runtime, handler);
  const { transport } = client.instances.list()[0]!;
  if (transport.kind !== "tcp") throw new Error("serves over TCP");
  const socket = connect(transport.port, transport.host);
  await once(socket, "connect");
  const acks: string[] = [];
  const decoder = new AckDecoder();
  socket.on("data", (chunk) => void acks.push(...decoder.push(chunk).map(String)));
  return { socket, acks, path: transport.path };
}

describe("a served endpoint", () => {
  it("answers a msgpack request in msgpack, JSON frames of another stream included", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp" });
    await using caller = await rawCaller();
    const { socket, acks, path } = await rawConnection(runtime, async ({ codec, body }, sink) => {
      await sink.item({ data: decodeBody(codec, body) });
      await sink.frames([Buffer.from('{"data":{"data":"relayed"},"complete_final":false}')]);
    });
    const control = encodeControl({ contextId: "c", callHome: caller.callHome, payloadCodec: "msgpack" });
    const envelope = encodeTwoPart(Buffer.from(control), encodeBody("msgpack", { big: 18446744073709551615n }));
    socket.write(encodeTcpRequest(path, {}, envelope));
    await caller.frame(6);
    const [handshake, prologue, item, relayed, final, sentinel] = caller.frames;
    expect(acks).toEqual([""]);
    expect(decodeHandshake(handshake!.header)).toBe("3b1c");
    expect(decodePrologue(prologue!.header)).toBeNull();
    expect(decodeBody("msgpack", item!.body)).toEqual({ data: { data: { big: 18446744073709551615n } }, complete_final: false });
    expect(decodeBody("msgpack", relayed!.body)).toEqual({ data: { data: "relayed" }, complete_final: false });
    expect(final!.body.toString("hex")).toBe("81ae636f6d706c6574655f66696e616cc3");
    expect(isSentinel(sentinel!.header)).toBe(true);
    socket.destroy();
  });

  it("tells its handler about stop, kill and a connection that ends, and sends nothing more", async () => {
    for (const leave of [stopFrame, killFrame, undefined]) {
      await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp" });
      await using caller = await rawCaller();
      const left = Promise.withResolvers<void>();
      const { socket, path } = await rawConnection(runtime, async ({ signal }, sink) => {
        await once(signal, "abort");
        left.resolve();
        await sink.item({ data: "too late" });
      });
      socket.write(encodeTcpRequest(path, {}, requestOf(caller.callHome)));
      const home = await caller.connected;
      await caller.frame(2);
      if (leave) home.write(leave);
      else home.end();
      await left.promise;
      await caller.ended;
      expect(caller.frames).toHaveLength(2);
      socket.destroy();
    }
  });

  it("acks a path that nobody serves, and refuses it over the stream: callers hang on ack texts", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp" });
    await using caller = await rawCaller();
    const { socket, acks } = await rawConnection(runtime, async () => {});
    const path = tcpPathOf(freshAddress(), 1n as InstanceId);
    socket.write(encodeTcpRequest(path, {}, requestOf(caller.callHome)));
    await caller.ended;
    expect(acks).toEqual([""]);
    expect(decodePrologue(caller.frames[1]!.header)).toBe(`Unknown endpoint: ${path}`);
    socket.destroy();
  });

  it("tells a handler that its caller cannot be reached, by `reached` and by the signal", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp" });
    const port = await freePort();
    const told = Promise.withResolvers<unknown[]>();
    const { socket, path } = await rawConnection(runtime, async ({ reached, signal }) => {
      const [unreached] = await Promise.allSettled([reached]);
      told.resolve([unreached, signal.reason]);
    });
    socket.write(encodeTcpRequest(path, {}, requestOf({ address: `127.0.0.1:${port}`, subject: "nobody" })));
    const reason = { code: "client_closed", message: "the caller cannot be reached" };
    expect(await told.promise).toMatchObject([{ status: "rejected", reason }, reason]);
    expect(runtime.lines.filter((line) => line.includes("request could not be answered"))).toHaveLength(1);
    socket.destroy();
  });

  it("acks requests in their order, whatever is in them, and serves the good ones", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp" });
    await using caller = await rawCaller();
    const { socket, acks, path } = await rawConnection(runtime, async () => {});
    const quic = encodeTwoPart(
      Buffer.from(encodeControl({ contextId: "c", callHome: caller.callHome }).replace("tcp_server", "quic")),
      Buffer.from("{}"),
    );
    const broken = [Buffer.alloc(0), Buffer.from("x"), encodeTwoPart(Buffer.from("{}"), Buffer.from("{}")), quic];
    const frames = [...broken, requestOf(caller.callHome)].map((envelope) => encodeTcpRequest(path, {}, envelope));
    socket.write(Buffer.concat(frames));
    await caller.frame(4);
    expect(acks).toEqual(["", "", "", "", ""]);
    expect(runtime.lines.filter((line) => line.includes("request could not be answered"))).toHaveLength(4);
    expect(runtime.lines.some((line) => line.includes("response transport quic is not supported"))).toBe(true);
    socket.destroy();
  });

  it("closes a connection that sends a request above the limit, and goes on serving others", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "tcp", requestBytesMax: 1024 });
    await using caller = await rawCaller();
    const { socket, path } = await rawConnection(runtime, async () => {});
    socket.write(encodeTcpRequest(path, {}, Buffer.alloc(2048)));
    await once(socket, "close");
    const { socket: next, path: nextPath } = await rawConnection(runtime, async () => {});
    next.write(encodeTcpRequest(nextPath, {}, requestOf(caller.callHome)));
    await caller.frame(4);
    next.destroy();
  });
});

describe("the response port", () => {
  it("kills and closes a stream that nobody waits for, and closes what is no stream", async () => {
    const server = await ResponseServer.listen({ ...requestPlaneDefaults, host: "127.0.0.1" }, quiet);
    const { host, port } = parseSocketAddress(server.address);
    for (const [bytes, answer] of [
      [encodeHandshake("unknown"), killFrame.toString("hex")],
      [Buffer.from("GET / HTTP/1.1\r\nhost: somewhere\r\n\r\n"), ""],
    ] as const) {
      const socket = connect(port, host);
      const received: Buffer[] = [];
      socket.on("data", (chunk) => void received.push(chunk)).on("error", () => {});
      socket.write(bytes);
      await once(socket, "close");
      expect(Buffer.concat(received).toString("hex")).toBe(answer);
    }
    await server.close();
  });

  it("closes a connection that does not introduce itself in time", async () => {
    const server = await ResponseServer.listen({ ...requestPlaneDefaults, host: "127.0.0.1", prologueTimeoutMs: 100 }, quiet);
    const { host, port } = parseSocketAddress(server.address);
    const socket = connect(port, host);
    socket.resume();
    await once(socket, "close");
    await server.close();
  });
});

describe("the NATS micro service", () => {
  it("answers PING, INFO and STATS with the members of a real worker, with and without its name", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane: "nats" });
    const { served } = await serveAndFollow(runtime, async () => {});
    const connection = await runtime.nats();
    const name = `${served.address.namespace}_backend`;
    for (const [verb, recorded] of Object.entries(recordedAnswers())) {
      const answers = [`$SRV.${verb}`, `$SRV.${verb}.${name}`].map(async (subject) =>
        (await connection.request(subject, "", { timeout: 30_000 })).json<object>(),
      );
      for (const answer of await Promise.all(answers)) {
        expect(Object.keys(answer)).toEqual(Object.keys(recorded));
        expect(answer).toMatchObject({ type: (recorded as { type: string }).type, name, version: "0.1.0" });
      }
    }
    const info = (await connection.request(`$SRV.INFO.${name}`, "", { timeout: 30_000 })).json<{
      description: string;
      endpoints: object[];
    }>();
    const subject = `${name}.generate-${served.instanceId.toString(16)}`;
    expect(info.description).toBe(`Dynamo component backend in namespace ${served.address.namespace}`);
    expect(info.endpoints).toEqual([{ name: subject.replace(".", "-"), subject, queue_group: "q", metadata: {} }]);
  });
});

function requestOf(callHome: { address: string; subject: string }): Buffer {
  return encodeTwoPart(Buffer.from(encodeControl({ contextId: "c", callHome })), Buffer.from("{}"));
}

/** One answer of each kind from 1.6.1. */
function recordedAnswers(): Record<string, object> {
  const { srv } = golden<{ srv: string[] }>("wire/service-and-status.json");
  const lines = srv.filter((line) => line.includes('"version":"1.6.1"'));
  return Object.fromEntries(
    lines.map((line) => [line.slice("$SRV.".length, line.indexOf(" ")), parseJson(line.slice(line.indexOf(" "))) as object]),
  );
}
