// One formatted value of `'%5.2f' | format(x)` and `'{:>8,}'.format(x)`.
//
//   [[fill]align][sign][#][0][width][,|_][.precision][type]
//
// Source: minijinja 2.24 format_utils.rs. As in Python but for: width counts UTF-8 bytes; a float without type is
// written like %g; booleans become 1 and 0 as soon as anything but the type is asked.
import { JsonFloat } from "@mm-router/protocol";
import { type Budget, refusal } from "./budget.ts";
import { exponentDigits, fixedDigits } from "./decimal-digits.ts";
import type { Integer } from "./numbers.ts";
import { displayed } from "./printing.ts";
import { isInteger, type Value } from "./values.ts";

export type FormatStyle = "printf" | "format";
export type Align = "<" | ">" | "^";

export interface FormatSpec {
  readonly style: FormatStyle;
  readonly fill: string;
  readonly align: Align | undefined;
  readonly sign: "" | "+" | " ";
  readonly alternate: boolean;
  readonly zeroPadded: boolean;
  readonly width: number | undefined;
  readonly grouping: "" | "," | "_";
  readonly precision: number | undefined;
  /** One of b d o x X e E f F g G c s, or "" for none. */
  readonly type: string;
}

export const plainSpec: FormatSpec = {
  style: "format",
  fill: " ",
  align: undefined,
  sign: "",
  alternate: false,
  zeroPadded: false,
  width: undefined,
  grouping: "",
  precision: undefined,
  type: "",
};

const precisionMax = 1000;

/** @throws AppError `invalid_request` where the value does not fit the type */
export function formatted(spec: FormatSpec, value: Value, budget: Budget): string {
  if (spec.width !== undefined) budget.textLength(spec.width);
  if ((spec.precision ?? 0) > precisionMax) throw refusal(`format precision exceeds ${precisionMax}`);
  if (typeof value === "boolean") return formattedBoolean(spec, value);
  if (isInteger(value)) return formattedInteger(spec, value);
  if (value instanceof JsonFloat) return formattedFloat(spec, value.value);
  return formattedText(spec, displayed(value, budget));
}

function formattedBoolean(spec: FormatSpec, value: boolean): string {
  const text = value ? "True" : "False";
  const asked = spec.align !== undefined || spec.sign === "+" || spec.alternate || spec.zeroPadded;
  if (spec.type === "" && !asked && spec.width === undefined && spec.precision === undefined) return text;
  if (spec.type !== "s") return formattedInteger(spec, Number(value));
  if (spec.style === "format") throw unfit("bool", spec);
  return padded(spec, text, ">");
}

function formattedText(spec: FormatSpec, text: string): string {
  if (spec.type === "c" && spec.style === "printf") return paddedCharacter(spec, onlyCharacter(text));
  if (spec.type !== "" && spec.type !== "s") throw unfit("string", spec);
  const shown = spec.precision === undefined ? text : [...text].slice(0, spec.precision).join("");
  return padded(spec, shown, spec.style === "printf" ? ">" : "<");
}

function onlyCharacter(text: string): string {
  const [first, ...others] = text;
  if (first === undefined || others.length > 0) throw refusal("character format requires integer or char");
  return first;
}

const radixes: Readonly<Record<string, number>> = { b: 2, o: 8, x: 16, X: 16 };

function formattedInteger(spec: FormatSpec, value: Integer): string {
  if (spec.type === "c") return formattedCharacter(spec, value);
  if (spec.type === "s" && spec.style === "format") throw unfit("integer", spec);
  const sign = signOf(value < 0, spec.type === "s" ? "" : spec.sign);
  return paddedNumber(spec, sign, magnitude(spec, value < 0 ? -BigInt(value) : BigInt(value)));
}

function magnitude(spec: FormatSpec, size: bigint): string {
  const radix = radixes[spec.type];
  if (radix !== undefined) return radixDigits(spec, size, radix);
  switch (spec.type.toLowerCase()) {
    case "e":
      return exponentForm(spec, size);
    case "f":
      return grouped(spec, withPoint(spec, fixedDigits(size, spec.precision ?? 6)));
    case "g":
      return generalForm(spec, size);
    case "s":
      return size.toString();
    default:
      return grouped(spec, size.toString());
  }
}

function radixDigits(spec: FormatSpec, size: bigint, radix: number): string {
  const digits = size.toString(radix);
  if (spec.grouping === ",") throw refusal(`',' cannot be specified with '${spec.type}'`);
  const shown = spec.type === "X" ? digits.toUpperCase() : digits;
  return spec.grouping === "" ? shown : inGroups(shown, "_", 4);
}

function formattedCharacter(spec: FormatSpec, value: Integer): string {
  const code = Number(value);
  if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw refusal("character format arg not in range(0x110000)");
  return paddedCharacter(spec, String.fromCodePoint(code));
}

function formattedFloat(spec: FormatSpec, value: number): string {
  if (spec.type in radixes || spec.type === "d" || spec.type === "c") throw unfit("float", spec);
  if (spec.type === "s" && spec.style === "format") throw unfit("float", spec);
  const upper = spec.type !== "" && spec.type === spec.type.toUpperCase();
  if (Number.isNaN(value)) return paddedNumber(spec, "", upper ? "NAN" : "nan");
  const sign = signOf(value < 0 || Object.is(value, -0), spec.type === "s" && spec.sign === "+" ? "" : spec.sign);
  const digits = Number.isFinite(value) ? floatDigits(spec, Math.abs(value)) : upper ? "INF" : "inf";
  return paddedNumber(spec, sign, digits);
}

function floatDigits(spec: FormatSpec, size: number): string {
  switch (spec.type.toLowerCase()) {
    case "e":
      return exponentForm(spec, size);
    case "f":
      return grouped(spec, withPoint(spec, fixedDigits(size, spec.precision ?? 6)));
    case "g":
      return size === 0 ? "0" : generalForm(spec, size);
    default:
      return size === 0 ? "0" : withFraction(generalForm(spec, size));
  }
}

function withFraction(digits: string): string {
  return /[.e]/.test(digits) ? digits : `${digits}.0`;
}

function exponentForm(spec: FormatSpec, size: number | bigint): string {
  const { mantissa, exponent } = exponentDigits(size, spec.precision ?? 6);
  return grouped(spec, withPoint(spec, mantissa)) + exponentText(spec, exponent);
}

function exponentText(spec: FormatSpec, exponent: number): string {
  const digits = Math.abs(exponent).toString().padStart(2, "0");
  return `${spec.type === "E" || spec.type === "G" ? "E" : "e"}${exponent < 0 ? "-" : "+"}${digits}`;
}

function generalForm(spec: FormatSpec, size: number | bigint): string {
  const precision = spec.precision === undefined ? 6 : Math.max(1, spec.precision);
  const { mantissa, exponent } = exponentDigits(size, precision - 1);
  if (exponent < -4 || exponent >= precision) return grouped(spec, significant(spec, mantissa)) + exponentText(spec, exponent);
  return grouped(spec, significant(spec, fixedDigits(size, precision - 1 - exponent)));
}

/** Without the zeros at the end of a fraction. */
function significant(spec: FormatSpec, digits: string): string {
  return spec.alternate || !digits.includes(".") ? digits : digits.replace(/\.?0+$/, "");
}

function withPoint(spec: FormatSpec, digits: string): string {
  return spec.precision === 0 && spec.alternate ? `${digits}.` : digits;
}

function signOf(negative: boolean, asked: FormatSpec["sign"]): string {
  return negative ? "-" : asked;
}

function grouped(spec: FormatSpec, digits: string): string {
  if (spec.grouping === "") return digits;
  const [whole = "", fraction] = digits.split(".");
  return inGroups(whole, spec.grouping, 3) + (fraction === undefined ? "" : `.${fraction}`);
}

function inGroups(digits: string, separator: string, size: number): string {
  const first = digits.length % size;
  const groups = first === 0 ? [] : [digits.slice(0, first)];
  for (let at = first; at < digits.length; at += size) groups.push(digits.slice(at, at + size));
  return groups.join(separator);
}

function paddedNumber(spec: FormatSpec, sign: string, digits: string): string {
  const prefix = sign + (spec.alternate && spec.type in radixes ? `0${spec.type}` : "");
  if (!spec.zeroPadded) return padded(spec, prefix + digits, ">");
  const missing = (spec.width ?? 0) - prefix.length - digits.length;
  return prefix + (missing > 0 ? zeroPadded(spec, digits, missing) : digits);
}

/** Zeros in front, in groups where groups are asked; never a separator first. */
function zeroPadded(spec: FormatSpec, digits: string, missing: number): string {
  if (spec.grouping === "") return "0".repeat(missing) + digits;
  const size = spec.grouping === "_" && spec.type in radixes ? 4 : 3;
  const lead = /^[^.eE,_]*/.exec(digits)?.[0] ?? "";
  const zeros = inGroups("0".repeat(missing) + lead, spec.grouping, size).slice(-(missing + lead.length));
  return (zeros.startsWith(spec.grouping) ? "0" : "") + zeros + digits.slice(lead.length);
}

function padded(spec: FormatSpec, text: string, usual: Align): string {
  return paddedBy(spec, text, Buffer.byteLength(text), usual);
}

function paddedCharacter(spec: FormatSpec, character: string): string {
  if (spec.style === "format" && spec.zeroPadded && spec.align === undefined) return character.padStart(spec.width ?? 0, "0");
  return paddedBy(spec, character, 1, ">");
}

function paddedBy(spec: FormatSpec, text: string, width: number, usual: Align): string {
  const missing = (spec.width ?? 0) - width;
  if (missing <= 0) return text;
  const align = spec.align ?? usual;
  const left = align === "<" ? 0 : align === ">" ? missing : Math.floor(missing / 2);
  return spec.fill.repeat(left) + text + spec.fill.repeat(missing - left);
}

function unfit(kind: string, spec: FormatSpec): Error {
  return refusal(`'${kind}' cannot be formatted as '${spec.type}'`);
}
