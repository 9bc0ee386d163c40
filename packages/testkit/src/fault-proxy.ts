// A TCP proxy that can be slow, deaf in one direction, or gone: the faults a network has, without root.
//
//   client ◄──► proxy ◄──► server        proxy.silence("toClient")   bytes of the server are held back, no one is told
//                                         proxy.latency(200)          every chunk 200 ms late, in order, both directions
//                                         proxy.cut()                 all connections reset; new ones are taken
//                                         proxy.refuse()              and new ones are reset too, until accept()
//
// I1  No byte is lost or reordered but by `cut`: what `silence` held back comes after `resume`.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export type Direction = "toServer" | "toClient";

export interface FaultProxy extends AsyncDisposable {
  /** On 127.0.0.1. */
  readonly port: number;
  /** Delay of every chunk from now on, milliseconds; 0 ends it. */
  latency(ms: number): void;
  /** Holds back the bytes of one direction; both ends see an open, quiet connection. */
  silence(direction: Direction): void;
  /** Lets held-back bytes go. */
  resume(): void;
  /** Resets every connection that is open now. */
  cut(): void;
  /** Cuts, and resets every new connection. */
  refuse(): void;
  accept(): void;
  readonly connections: number;
}

/** @param target port on 127.0.0.1 that connections are passed on to */
export async function startFaultProxy(target: number): Promise<FaultProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const silent = new Set<Direction>();
  let latencyMs = 0;
  let refusing = false;

  const server = createServer((client) => {
    if (refusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(target, "127.0.0.1");
    const pair = [client, upstream] as const;
    pairs.add(pair);
    pump(client, upstream, "toServer");
    pump(upstream, client, "toClient");
    for (const socket of pair) socket.on("close", () => pairs.delete(pair));
  });

  function pump(from: Socket, to: Socket, direction: Direction): void {
    let turn = Promise.resolve(); // keeps the order when the latency changes (I1)
    const inTurn = (work: () => void): void => {
      const due = delay(latencyMs);
      turn = turn.then(() => due).then(work);
    };
    from.on("data", (chunk) =>
      inTurn(() => {
        if (to.destroyed || to.write(chunk)) return;
        from.pause();
        to.once("drain", () => silent.has(direction) || from.resume());
      }),
    );
    from.on("end", () => inTurn(() => to.end()));
    from.on("error", () => to.resetAndDestroy()); // a reset on one side is a reset on the other
    if (silent.has(direction)) from.pause();
  }

  const cut = (): void => {
    for (const [client, upstream] of pairs) {
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    }
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    latency: (ms) => void (latencyMs = ms),
    silence(direction) {
      silent.add(direction);
      for (const [client, upstream] of pairs) (direction === "toServer" ? client : upstream).pause();
    },
    resume() {
      silent.clear();
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    cut,
    refuse() {
      refusing = true;
      cut();
    },
    accept: () => void (refusing = false),
    get connections() {
      return pairs.size;
    },
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}

const delay = (ms: number): Promise<void> => (ms === 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms)));
