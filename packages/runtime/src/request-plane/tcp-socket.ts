// What all TCP connections of the request plane have in common.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { AppError } from "@mm-router/protocol";
import { type SocketAddress, socketAddressText } from "./socket-address.ts";

/**
 * Small frames must not wait for each other, and a host that vanished without a FIN must be noticed: after 5 s of silence and the
 * system's probes (10, one a second).
 */
export const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 5_000 };

/** A socket that begins to connect; it breaks when that takes longer than the deadline. */
export function openSocket({ host, port }: SocketAddress, timeoutMs: number): Socket {
  const socket = connect({ host, port, ...socketOptions });
  const late = setTimeout(() => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  const inTime = () => clearTimeout(late);
  return socket.once("connect", inTime).once("close", inTime);
}

/**
 * Connects within the deadline.
 *
 * @throws AppError `dependency_unreachable` with the system's error as cause
 */
export async function connectSocket(address: SocketAddress, timeoutMs: number): Promise<Socket> {
  const socket = openSocket(address, timeoutMs);
  try {
    await once(socket, "connect");
  } catch (cause) {
    throw new AppError("dependency_unreachable", `cannot connect to ${socketAddressText(address)}`, { cause });
  }
  return socket;
}

/** Resolves when the socket takes more: at once unless its buffer is full, and also when it is gone. */
export function writable(socket: Socket): Promise<void> | undefined {
  if (!socket.writableNeedDrain || socket.destroyed) return undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => {
    socket.off("drain", done).off("close", done);
    resolve();
  };
  socket.on("drain", done).on("close", done);
  return promise;
}
