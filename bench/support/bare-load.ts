// Both neighbours of the bare router (bare-router.ts), in this process: a caller that asks, a worker that calls home with one token.
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { freePort } from "@mm-router/cli/infra";
import type { Child } from "@mm-router/runtime";
import type { BenchStack } from "./stack.ts";

const idBytes = 8;
const host = "127.0.0.1";
/** As long as a stream of one token with its end. */
const answer = Buffer.alloc(400, "x");

export interface BareRouter {
  readonly process: Child;
  /** One request, to the end of its answer. */
  ask(): Promise<void>;
}

/** @param bytes of a request */
export async function startBareRouter(stack: BenchStack, bytes: number): Promise<BareRouter> {
  const [port, homePort] = [await freePort(), await freePort()];
  const done = new Map<string, () => void>();
  const callerHome = createServer((socket) => {
    socket.once("data", (chunk) => socket.once("end", done.get(chunk.toString("latin1", 0, idBytes))!)).resume();
    socket.on("error", () => socket.destroy());
  });
  const worker = createServer({ noDelay: true }, (socket) => {
    let waiting = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      waiting = Buffer.concat([waiting, chunk]);
      for (; waiting.length >= bytes; waiting = waiting.subarray(bytes)) answerAt(homePort, waiting.subarray(0, idBytes));
      socket.write("ack");
    });
  });
  const bare = await stack.script("bare-router", port, homePort, await listen(callerHome), await listen(worker), bytes);
  const requests = connect({ host, port, noDelay: true }).resume();
  let next = 10_000_000;
  const request = Buffer.alloc(bytes, "x");
  return {
    process: bare,
    ask() {
      const id = String(next++);
      request.write(id, "latin1");
      const { promise, resolve } = Promise.withResolvers<void>();
      done.set(id, () => {
        done.delete(id);
        resolve();
      });
      requests.write(Buffer.from(request));
      return promise;
    },
  };
}

function answerAt(port: number, id: Uint8Array): void {
  const home = connect({ host, port, noDelay: true }).resume();
  home.on("error", () => home.destroy());
  home.write(id);
  home.end(answer);
}

async function listen(server: Server): Promise<number> {
  server.listen(0, host).unref();
  await once(server, "listening");
  return (server.address() as { port: number }).port;
}
