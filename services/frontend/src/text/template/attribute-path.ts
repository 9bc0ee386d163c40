// Attributes of attributes, as filters name them: "a.b.0".
import { attributeOf, itemAt, type Value } from "./values.ts";

/** `value.a.b.0` for the path "a.b.0". @throws AppError `invalid_request` beyond something undefined */
export function pathOf(value: Value, path: string): Value {
  return path
    .split(".")
    .reduce<Value>((part, name) => (/^\+?\d+$/.test(name) ? itemAt(part, Number(name)) : attributeOf(part, name)), value);
}

export function pathOrDefault(value: Value, path: string, otherwise: Value): Value {
  const found = quietPath(value, path);
  return found === undefined ? otherwise : found;
}

/** Undefined where something on the way is. */
export function quietPath(value: Value, path: string): Value {
  let part = value;
  for (const name of path.split(".")) {
    if (part === undefined) return undefined;
    part = pathOf(part, name);
  }
  return part;
}
