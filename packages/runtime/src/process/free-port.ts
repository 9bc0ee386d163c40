// A port for a child process to listen on.
import { once } from "node:events";
import { createServer } from "node:net";

/** A port that was free a moment ago. The kernel hands them out in turn, so a second taker within seconds is unlikely. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new TypeError("a TCP server has an address with a port");
  return address.port;
}
