// Addresses that processes give each other: an IP literal and a port, IPv6 in brackets. Never a name: upstream's callers do
// not resolve them.
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { AppError } from "@mm-router/protocol";

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

/** @throws AppError `protocol_error` unless `text` is an IP literal and a port */
export function parseSocketAddress(text: string): SocketAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (isIP(host) === 0 || !(port >= 1 && port <= 65_535))
    throw new AppError("protocol_error", `${JSON.stringify(text)} is no IP address and port`);
  return { host, port };
}

export function socketAddressText({ host, port }: SocketAddress): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * The IP literal to listen on and to tell others: the configured one, else the first IPv4 that is not loopback, else
 * 127.0.0.1, as real workers choose (0.9.1, 1.6.1).
 *
 * @throws AppError `configuration` when the configured host is a name
 */
export function ownHost(configured: string | undefined): string {
  if (configured === undefined) return firstOutsideIpv4() ?? "127.0.0.1";
  if (isIP(configured) === 0)
    throw new AppError("configuration", `DYN_TCP_RPC_HOST must be an IP address, not ${JSON.stringify(configured)}`);
  return configured;
}

function firstOutsideIpv4(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find((address) => address.family === "IPv4" && !address.internal)?.address;
}
