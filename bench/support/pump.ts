// The floor: an HTTP server that pumps bytes of a TCP connection into its response, and knows nothing of what they are.
//
//   node pump.ts HTTP_PORT SOURCE_PORT [tcp]     with `tcp` both sides are TCP
import { createServer as createHttpServer } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";

const [port, sourcePort, kind] = process.argv.slice(2);
const source = () => connect({ host: "127.0.0.1", port: Number(sourcePort), noDelay: true });
const listening = (): boolean => process.stdout.write("ready\n");

if (kind === "tcp") {
  createTcpServer({ noDelay: true }, (socket) =>
    source()
      .pipe(socket)
      .on("error", () => socket.destroy()),
  ).listen(Number(port), "127.0.0.1", listening);
} else {
  createHttpServer({ keepAliveTimeout: 0 }, (request, response) => {
    request.resume().on("end", () => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      source().pipe(response);
    });
  }).listen(Number(port), "127.0.0.1", listening);
}
