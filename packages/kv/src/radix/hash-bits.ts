// 64-bit hashes as pairs of 32-bit halves: what typed arrays hold and comparisons read without making a bigint.
//
// Halves and mixed bits are signed, whatever they stand for: to V8 a number of 2^31 or more is an object once it is passed on.
import type { U64 } from "@mm-router/protocol";

const wide = new BigUint64Array(1);
const halves = new Int32Array(wide.buffer);

/** Splits a hash; read `splitLow` and `splitHigh` before the next call. */
export function split(hash: U64): void {
  wide[0] = hash;
}

export function splitLow(): number {
  return halves[0]!;
}

export function splitHigh(): number {
  return halves[1]!;
}

export function join(low: number, high: number): U64 {
  halves[0] = low;
  halves[1] = high;
  return wide[0]!;
}

/** 32 well-mixed bits of three words (the finaliser of MurmurHash3): hashes of tests and of some engines are small integers. */
export function mix(low: number, high: number, salt: number): number {
  let bits = low ^ Math.imul(high, 0x9e3779b1) ^ Math.imul(salt, 0x27d4eb2f);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

/** Maps 32 mixed bits to [0, capacity) for any capacity below 2^31, by their upper bits. */
export function slotOf(bits: number, capacity: number): number {
  return (((bits >>> 0) * capacity) / 0x1_0000_0000) | 0;
}
