// 32-bit floats as Rust writes them: Dynamo's sampling parameters are f32, in its messages and on its wire.

/** The shortest decimal that reads back as the same f32; no `.0`, and no exponent below 1e21 (Rust's Display): `0.1`, `2.5`, `-1`. */
export function f32Display(value: number): string {
  const shortest = shortestOf(value);
  const text = String(shortest);
  return text.includes("e-") ? shortest.toFixed(decimalsOf(shortest)) : text;
}

/** As JSON, so that integers keep looking like floats: `1.0`, `0.7`. @param value finite */
export function f32Json(value: number): string {
  const text = String(shortestOf(value));
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** At most nine digits tell any two f32 apart. */
const digitsMax = 9;

function shortestOf(value: number): number {
  const target = Math.fround(value);
  for (let digits = 1; digits <= digitsMax; digits++) {
    const candidate = Number(target.toPrecision(digits));
    if (Math.fround(candidate) === target) return candidate;
  }
  return target;
}

/** Decimals after the point that show all digits of a number whose text has an exponent. */
function decimalsOf(value: number): number {
  const [mantissa = "", exponent = "0"] = String(value).split("e");
  const digits = mantissa.split(".")[1]?.length ?? 0;
  return Math.min(100, Math.max(0, digits - Number(exponent)));
}
