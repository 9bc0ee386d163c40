// Decimal digits of a number, correctly rounded (half to even), as Rust and Python write them.
// Number.toFixed cannot do this: it takes the larger neighbour of a tie (2.25 → 2.3).

/** `value` ≥ 0 with `places` digits after the point (none: no point). */
export function fixedDigits(value: number | bigint, places: number): string {
  const digits = scaled(value, places)
    .toString()
    .padStart(places + 1, "0");
  return places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/** `value` ≥ 0 as mantissa with `places` digits after the point, and power of ten. */
export function exponentDigits(value: number | bigint, places: number): { mantissa: string; exponent: number } {
  let exponent = decimalExponent(value);
  let digits = scaled(value, places - exponent).toString();
  if (digits.length > places + 1) {
    // 9.99 was rounded up to 10.0
    exponent++;
    digits = digits.slice(0, -1);
  }
  digits = digits.padEnd(places + 1, "0");
  return { mantissa: places === 0 ? digits : `${digits[0]}.${digits.slice(1)}`, exponent };
}

function decimalExponent(value: number | bigint): number {
  if (typeof value === "bigint") return value.toString().length - 1;
  return Number(value.toExponential().split("e")[1]);
}

/** `value` · 10^`places`, rounded to an integer. */
function scaled(value: number | bigint, places: number): bigint {
  let { numerator, denominator } = fraction(value);
  if (places >= 0) numerator *= 10n ** BigInt(places);
  else denominator *= 10n ** BigInt(-places);
  const quotient = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  const up = twice > denominator || (twice === denominator && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}

/** The exact value as a fraction: a double is 53 bits times a power of two. */
function fraction(value: number | bigint): { numerator: bigint; denominator: bigint } {
  if (typeof value === "bigint") return { numerator: value, denominator: 1n };
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const mantissa = (bits & 0xf_ffff_ffff_ffffn) | (biased === 0 ? 0n : 1n << 52n);
  const shift = Math.max(biased, 1) - 1075; // 1023 bias + 52 bits after the point
  return shift >= 0
    ? { numerator: mantissa << BigInt(shift), denominator: 1n }
    : { numerator: mantissa, denominator: 1n << BigInt(-shift) };
}
