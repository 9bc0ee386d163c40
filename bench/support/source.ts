// Writes TOKENS messages of BYTES bytes, ten to a write, to whoever connects, then ends: what the pump pumps.
//
//   node source.ts PORT TOKENS BYTES
import { createServer, type Socket } from "node:net";

const [port, tokens, bytes] = process.argv.slice(2).map(Number) as [number, number, number];
const chunk = Buffer.alloc(bytes * 10, "x");

async function write(socket: Socket): Promise<void> {
  for (let sent = 0; sent < tokens && !socket.destroyed; sent += 10) {
    if (!socket.write(chunk)) await new Promise((resolve) => socket.once("drain", resolve).once("close", resolve));
  }
  socket.end();
}

createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  void write(socket);
}).listen(port, "127.0.0.1", () => process.stdout.write("ready\n"));
