// The floor of a routed request: the sockets that the request plane prescribes, and bytes moved between them, nothing else.
//
//   caller ── request (ID, BYTES long) ──▶ bare router ── the same ──▶ worker
//          ◀── ack ──────────────────────      ▲
//          ◀── a connection per request ──     └── a connection per request ── worker          ≙ call home, both ways
//
//   node bare-router.ts PORT HOME_PORT CALLER_HOME_PORT WORKER_PORT BYTES
import { connect, createServer, type Socket } from "node:net";

const [port, homePort, callerHomePort, workerPort, bytes] = process.argv.slice(2).map(Number) as [number, number, number, number, number];
const idBytes = 8;
const host = "127.0.0.1";
const callers = new Map<string, Socket>();
const worker = connect({ host, port: workerPort, noDelay: true }).resume();

createServer({ noDelay: true }, (home) => {
  home.on("error", () => home.destroy());
  home.once("data", (chunk) => {
    const id = chunk.toString("latin1", 0, idBytes);
    const caller = callers.get(id)!;
    callers.delete(id);
    caller.write(chunk);
    home.on("data", (more) => caller.write(more));
    home.on("end", () => {
      home.end();
      caller.end();
    });
  });
}).listen(homePort, host);

createServer({ noDelay: true }, (socket) => {
  let waiting = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    for (; waiting.length >= bytes; waiting = waiting.subarray(bytes)) take(waiting.subarray(0, bytes), socket);
  });
}).listen(port, host, () => process.stdout.write("ready\n"));

function take(request: Buffer, socket: Socket): void {
  socket.write("ack");
  const caller = connect({ host, port: callerHomePort, noDelay: true }).resume();
  caller.on("error", () => caller.destroy());
  const id = request.subarray(0, idBytes);
  callers.set(id.toString("latin1"), caller);
  caller.write(id);
  worker.write(request);
}
