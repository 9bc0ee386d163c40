// Writes TOKENS messages of BYTES bytes to whoever connects, each by itself as an engine's tokens come, then ends: what the pump pumps.
//
//   node source.ts PORT TOKENS BYTES
import { createServer, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";

const [port, tokens, bytes] = process.argv.slice(2).map(Number) as [number, number, number];
const message = Buffer.alloc(bytes, "data: x ");

async function write(socket: Socket): Promise<void> {
  for (let sent = 0; sent < tokens && !socket.destroyed; sent++) {
    if (!socket.write(message)) await new Promise((resolve) => socket.once("drain", resolve).once("close", resolve));
    await turn();
  }
  socket.end();
}

createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  void write(socket);
}).listen(port, "127.0.0.1", () => process.stdout.write("ready\n"));
