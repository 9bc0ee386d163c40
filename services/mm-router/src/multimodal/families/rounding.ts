// Python's arithmetic where JavaScript's differs. Token counts are a worker's Python expressions: half a token off is no cache hit.

/** Python's `round(x)`: halves go to the even neighbour, 2.5 → 2 and 3.5 → 4. `Math.round` takes both up. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * Python's `int(round(x, 7))` for x ≥ 0.
 *
 * Both languages round the exact binary value to 7 digits; they part only where that value lies exactly between two such decimals, which
 * needs a fraction of odd/256 and so never touches the integer part.
 */
export function truncateRounded7(x: number): number {
  return Math.trunc(Number(x.toFixed(7)));
}

/**
 * Python's `a // b` for floats ≥ 0: the floor of the *exact* quotient.
 *
 * 135 // 1.6666666666666667 is 80, while 135 / 1.6666666666666667 has already been rounded up to 81.
 */
export function floorDivide(a: number, b: number): number {
  return Math.round((a - (a % b)) / b);
}
