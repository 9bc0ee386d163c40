// Numbers of the template language and how they are written.
//
//   integer   JS number where exact, else bigint; always within i128, as in minijinja
//   float     JsonFloat, so that 1.0 stays distinct from 1 from the request to the prompt
//
//              1e16                  1e-7        0.00001   where
//   python     1e+16                 1e-07       1e-05     {{ x }}, | string, tojson
//   decimal    10000000000000000.0   0.0000001   0.00001   ~, join
//   debug      1e16                  1e-7        1e-5      inside a printed list or map
//
// Source: Dynamo 1.6.1 (python form of its own), minijinja 2.24 value/mod.rs; all three forms seen running.
import { JsonFloat } from "@mm-router/protocol";
import { refusal } from "./budget.ts";

export type Integer = number | bigint;

const i128Max = (1n << 127n) - 1n;
const i128Min = -(1n << 127n);

/** @throws AppError `invalid_request` outside i128 */
export function integer(value: bigint): Integer {
  if (value > i128Max || value < i128Min) throw refusal("integer overflow");
  const narrow = Number(value);
  return Number.isSafeInteger(narrow) ? narrow : value;
}

export function float(value: number): JsonFloat {
  return new JsonFloat(value, pythonFloat(value));
}

/** Truncated towards zero, as Rust's `as i128`: NaN is 0, what is too large saturates. */
export function truncated(value: number): Integer {
  if (Number.isNaN(value)) return 0;
  const whole = Math.trunc(value);
  if (Number.isSafeInteger(whole)) return whole + 0;
  if (whole > 0) return whole >= Number(i128Max) ? i128Max : BigInt(whole);
  return whole <= Number(i128Min) ? i128Min : BigInt(whole);
}

/** The shortest decimal digits that give `value` back, and the place of the point after the first of them. */
function shortestDigits(value: number): { sign: string; digits: string; exponent: number } {
  const [mantissa = "", exponent = "0"] = Math.abs(value).toExponential().split("e");
  const negative = value < 0 || Object.is(value, -0);
  return { sign: negative ? "-" : "", digits: mantissa.replace(".", ""), exponent: Number(exponent) };
}

/** repr(float) of Python. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) return nonFinite(value, "nan");
  const { sign, digits, exponent } = shortestDigits(value);
  if (exponent >= -4 && exponent < 16) return sign + positional(digits, exponent);
  const size = Math.abs(exponent).toString().padStart(2, "0");
  return `${sign}${scientific(digits)}e${exponent < 0 ? "-" : "+"}${size}`;
}

/** Display of a Rust f64, with a point always. */
export function decimalFloat(value: number): string {
  if (!Number.isFinite(value)) return nonFinite(value, "NaN");
  const { sign, digits, exponent } = shortestDigits(value);
  return sign + positional(digits, exponent);
}

/** Debug of a Rust f64. */
export function debugFloat(value: number): string {
  if (!Number.isFinite(value)) return nonFinite(value, "NaN");
  const { sign, digits, exponent } = shortestDigits(value);
  if (value === 0 || (exponent >= -4 && exponent < 16)) return sign + positional(digits, exponent);
  return `${sign}${scientific(digits)}e${exponent}`;
}

function nonFinite(value: number, notANumber: string): string {
  if (Number.isNaN(value)) return notANumber;
  return value < 0 ? "-inf" : "inf";
}

function scientific(digits: string): string {
  return digits.length === 1 ? digits : `${digits[0]}.${digits.slice(1)}`;
}

function positional(digits: string, exponent: number): string {
  if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${whole}.${digits.slice(exponent + 1) || "0"}`;
}
