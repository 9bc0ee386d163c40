import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startFaultProxy } from "../src/fault-proxy.ts";

const patient = { timeout: 30_000 };

describe("startFaultProxy", () => {
  const echo = createServer((socket) => socket.on("error", () => {}).pipe(socket));
  let target: number;
  beforeAll(async () => {
    echo.listen(0, "127.0.0.1");
    await once(echo, "listening");
    target = (echo.address() as AddressInfo).port;
  });
  afterAll(() => echo.close());

  const open = async (port: number): Promise<Socket> => {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.on("error", () => {}); // the proxy resets what is open when its block ends
    return socket;
  };
  const reply = async (socket: Socket): Promise<string> => String((await once(socket, "data"))[0]);

  it("passes bytes on", async () => {
    await using proxy = await startFaultProxy(target);
    const socket = await open(proxy.port);
    socket.write("one");
    expect(await reply(socket)).toBe("one");
    expect(proxy.connections).toBe(1);
  });

  it("delays bytes without reordering them", async () => {
    await using proxy = await startFaultProxy(target);
    const socket = await open(proxy.port);
    proxy.latency(50);
    const sentAt = performance.now();
    socket.write("a");
    await expect.poll(() => proxy.connections, patient).toBe(1);
    let heard = "";
    socket.on("data", (chunk) => (heard += chunk));
    await expect.poll(() => heard, patient).toBe("a");
    expect(performance.now() - sentAt).toBeGreaterThan(95); // once in each direction, timers round down
    for (const letter of "bcdef") socket.write(letter);
    proxy.latency(0);
    socket.write("g");
    await expect.poll(() => heard, patient).toBe("abcdefg");
  });

  it.each(["toServer", "toClient"] as const)("holds back what goes %s and loses nothing of it", async (direction) => {
    await using proxy = await startFaultProxy(target);
    const socket = await open(proxy.port);
    socket.write("before ");
    expect(await reply(socket)).toBe("before ");
    proxy.silence(direction);
    socket.write("during");
    const heard = reply(socket);
    expect(await Promise.race([heard, new Promise((resolve) => setTimeout(resolve, 100, "silence"))])).toBe("silence");
    expect(socket.readyState).toBe("open");
    proxy.resume();
    expect(await heard).toBe("during");
  });

  it("resets open connections on a cut and takes new ones", async () => {
    await using proxy = await startFaultProxy(target);
    const socket = await open(proxy.port);
    socket.write("x");
    await reply(socket);
    proxy.cut();
    expect(await once(socket, "error")).toMatchObject([{ code: "ECONNRESET" }]);
    const next = await open(proxy.port);
    next.write("y");
    expect(await reply(next)).toBe("y");
  });

  it("takes no connection while it refuses", async () => {
    await using proxy = await startFaultProxy(target);
    proxy.refuse();
    const refused = connect(proxy.port, "127.0.0.1");
    expect(await once(refused, "error")).toMatchObject([{ code: "ECONNRESET" }]);
    proxy.accept();
    const socket = await open(proxy.port);
    socket.write("z");
    expect(await reply(socket)).toBe("z");
  });
});
