// A port for a child process to listen on.
import { once } from "node:events";
import { createServer } from "node:net";
import { AppError } from "@mm-router/protocol";

const triesMax = 50;

/** Below 32768, where Linux takes ports for outgoing connections: one of those may be anybody's before the child listens on it. */
const lowestPort = 15_000;
const highestPort = 32_767;

/** A port that was free a moment ago. @throws AppError `configuration` when none was found */
export function freePort(): Promise<number> {
  return freePortBetween(lowestPort, highestPort);
}

/**
 * A free port in a range, drawn by chance.
 *
 * @throws AppError `configuration` when none was found
 */
export async function freePortBetween(lowest: number, highest: number): Promise<number> {
  for (let tries = 0; tries < triesMax; tries++) {
    const port = await listenOnce(lowest + Math.floor(Math.random() * (highest - lowest + 1)));
    if (port !== undefined) return port;
  }
  throw new AppError("configuration", `no free port between ${lowest} and ${highest}`);
}

/** The port that was listened on, or undefined when it is taken. */
async function listenOnce(wanted: number): Promise<number | undefined> {
  const probe = createServer().listen(wanted, "127.0.0.1");
  try {
    await once(probe, "listening");
  } catch {
    return undefined;
  }
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  return address === null || typeof address === "string" ? undefined : address.port;
}
