// Unsigned 64-bit integers as bigint.
//
// Lease ids, worker ids, block hashes and mm_hashes are u64 beyond 2^53 as a rule: a JS number damages them.
// Small values arrive as numbers all the same (JSON digits, MessagePack's smallest-integer form), so every
// value from the wire passes `u64()` once, at the edge.
import { AppError } from "./errors.ts";

/** An integer in [0, 2^64). */
export type U64 = bigint;

export const U64_MAX: U64 = (1n << 64n) - 1n;

/**
 * Normalises a wire value to a u64.
 *
 * @param value bigint, safe non-negative integer number, or decimal text
 * @throws AppError `protocol_error` for anything else; `what` names the value in the message
 */
export function u64(value: unknown, what = "value"): U64 {
  const big = toBigInt(value);
  if (big === undefined || big < 0n || big > U64_MAX) throw new AppError("protocol_error", `${what} is not an unsigned 64-bit integer`);
  return big;
}

/** Two's complement: the u64 with the same 64 bits (Dynamo's Python side hands hashes over as i64). */
export function u64FromI64(value: bigint): U64 {
  return BigInt.asUintN(64, value);
}

/** Two's complement: the i64 with the same 64 bits. */
export function i64FromU64(value: U64): bigint {
  return BigInt.asIntN(64, value);
}

/** Lower-case hex without prefix or padding: the form of ids in etcd keys, NATS subjects and TCP paths. */
export function hexOf(value: U64): string {
  return value.toString(16);
}

/** Exactly 16 lower-case hex digits: the form of mm_hashes. */
export function hex16Of(value: U64): string {
  return value.toString(16).padStart(16, "0");
}

/** The u64 of 1 to 16 hex digits, or undefined when the text is no such number. */
export function parseHex(text: string): U64 | undefined {
  return /^[0-9a-fA-F]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}

function toBigInt(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value === "string") return /^\d{1,20}$/.test(value) ? BigInt(value) : undefined;
  return undefined;
}
