// Filters on text and on single values.
//
// Source: minijinja 2.24 filters.rs; length, tojson, fromjson and trim are Dynamo 1.6.1's own.
import { JsonFloat, parseJsonLossless } from "@mm-router/protocol";
import { Arguments, keepSafety, type Keywords } from "./arguments.ts";
import { type Budget, refusal } from "./budget.ts";
import { splitWhiteSpace, trimSetEnd, trimSetStart } from "./code-points.ts";
import { float, truncated } from "./numbers.ts";
import { asFloat } from "./operators.ts";
import { displayed, prettyPrinted, printed } from "./printing.ts";
import { pythonJson } from "./python-json.ts";
import { htmlEscaped, type Operation, type Render } from "./render.ts";
import { printfFormatted } from "./text-format.ts";
import {
  capitalized,
  indented,
  partsMax,
  pythonTrim,
  pythonWords,
  replaced,
  rustLines,
  splitBy,
  titled,
  urlEncoded,
} from "./text-operations.ts";
import { entriesOf, exactInteger, isInteger, isTrue, itemAt, kindOf, lengthOf, SafeText, textOf, type Value } from "./values.ts";

/** A filter of one text without arguments; the result is safe if the text was. */
function onText(change: (text: string) => string): Operation {
  return (values, render) => {
    const given = new Arguments(values, render.budget);
    const text = given.text();
    given.end();
    return keepSafety(values[0], render.budget.text(change(text)));
  };
}

function onValue(change: (value: Value, render: Render) => Value): Operation {
  return (values, render) => {
    const given = new Arguments(values, render.budget);
    const value = given.value();
    given.end();
    return change(value, render);
  };
}

const escapeFilter = onValue((value, { budget }) => {
  if (value instanceof SafeText) return value;
  return new SafeText(htmlEscaped(displayed(value, budget), budget));
});

const replaceFilter: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const [text, from, to] = [given.text(), given.text(), given.text()];
  given.end();
  return replaced(text, from, to, undefined, budget);
};

const trimFilter: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const [text, characters] = [given.text(), given.optionalText()];
  given.end();
  const set = new Set(characters);
  return keepSafety(values[0], characters === undefined ? pythonTrim(text) : trimSetEnd(trimSetStart(text, set), set));
};

const splitFilter: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const [text, separator, splits] = [given.exactText(), given.optionalExactText(), given.optionalWhole()];
  given.end();
  budget.spend(partsMax(text, separator));
  return cutText(text, separator, splits);
};

function cutText(text: string, separator: string | undefined, splits: number | undefined): string[] {
  if (separator !== undefined) return splitBy(text, separator, splits);
  return splits === undefined || splits < 0 ? splitWhiteSpace(text) : pythonWords(text, splits);
}

const linesFilter: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const text = given.exactText();
  given.end();
  budget.spend(text.length);
  return rustLines(text);
};

const indentFilter: Operation = (values, { budget }) => {
  const { positional, keywords } = Arguments.withKeywords(values, budget);
  const text = positional.text();
  const width = positional.optionalCount() ?? keywords.count("width") ?? 4;
  const first = positional.optionalFlag() ?? keywords.flag("first") ?? false;
  const blank = positional.optionalFlag() ?? keywords.flag("blank") ?? false;
  positional.end();
  keywords.end();
  return keepSafety(values[0], indented(text, width, { first, blank }, budget));
};

const formatFilter: Operation = ([format, ...values], { budget }) => {
  const text = textOf(format);
  if (text === undefined) throw refusal("value is not a string");
  return keepSafety(format, printfFormatted(text, values, budget));
};

const urlEncodeFilter = onValue((value, { budget }) => {
  const entries = entriesOf(value);
  if (entries === undefined) return budget.text(urlEncoded(value === null ? "" : displayed(value, budget)));
  const present = entries.filter(([, member]) => member !== null && member !== undefined);
  return present.map(([key, member]) => `${urlEncoded(displayed(key, budget))}=${urlEncoded(displayed(member, budget))}`).join("&");
});

const jsonFilter: Operation = (values, { budget }) => {
  const { positional, keywords } = Arguments.withKeywords(values, budget);
  const value = positional.value();
  positional.end();
  return new SafeText(pythonJson(value, jsonIndent(keywords), budget));
};

/** `sort_keys`, `separators` and indents that are no count are ignored, as Dynamo ignores them. */
function jsonIndent(keywords: Keywords): number | undefined {
  const indent = exactInteger(keywords.value("indent"));
  return typeof indent === "number" && indent >= 0 ? indent : undefined;
}

const fromJsonFilter: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const text = given.text();
  given.end();
  budget.spend(text.length); // its values cost more than its characters
  try {
    return parseJsonLossless(text);
  } catch (cause) {
    throw refusal(`fromjson: ${cause instanceof Error ? cause.message : "not JSON"}`);
  }
};

const defaultFilter: Operation = (values) => {
  if (values.length > 3) throw refusal("too many arguments");
  const [value, otherwise = "", whenFalse] = values;
  return value === undefined || (isTrue(whenFalse) && !isTrue(value)) ? otherwise : value;
};

const attributeFilter: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const [value, key] = [given.value(), given.value()];
  given.end();
  return itemAt(value, key);
};

const rustInteger = /^[+-]?\d+$/;
const rustFloat = /^[+-]?(?:inf|infinity|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)$/i;

/** A Rust float literal: no white space, no underscores. */
function parsedFloat(text: string): number {
  if (!rustFloat.test(text)) throw refusal("invalid float literal");
  return Number(text.replace(/inf(?:inity)?/i, "Infinity").replace(/nan/i, "NaN"));
}

function toInteger(value: Value): Value {
  const text = textOf(value);
  if (text !== undefined) return rustInteger.test(text) ? exactOrTruncated(text) : truncated(parsedFloat(text));
  if (value === undefined || value === null) return 0;
  if (value instanceof JsonFloat) return truncated(value.value);
  const exact = exactInteger(value);
  if (exact === undefined) throw refusal(`cannot convert ${kindOf(value)} to integer`);
  return exact;
}

function exactOrTruncated(digits: string): Value {
  const narrow = Number(digits);
  if (Number.isSafeInteger(narrow)) return narrow + 0;
  // 39 digits are the longest i128; beyond, the value saturates as a float does
  return digits.length > 40 ? truncated(narrow) : BigInt.asIntN(128, BigInt(digits));
}

function toFloat(value: Value): Value {
  const text = textOf(value);
  if (text !== undefined) return float(parsedFloat(text));
  const number = value === undefined || value === null ? 0 : asFloat(value);
  if (number === undefined) throw refusal(`cannot convert ${kindOf(value)} to float`);
  return float(number);
}

function absolute(value: Value): Value {
  if (value instanceof JsonFloat) return float(Math.abs(value.value));
  if (!isInteger(value)) throw refusal("cannot get absolute value");
  return value < 0 ? -value : value;
}

const roundFilter: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const [value, places] = [given.value(), given.optionalWhole() ?? 0];
  given.end();
  if (isInteger(value)) return value;
  if (!(value instanceof JsonFloat)) throw refusal(`cannot round value (${kindOf(value)})`);
  const scale = 10 ** places;
  return float(halfAwayFromZero(value.value * scale) / scale);
};

function halfAwayFromZero(value: number): number {
  const whole = Math.trunc(value);
  return Math.abs(value - whole) >= 0.5 ? whole + Math.sign(value) : whole;
}

export const textFilters: ReadonlyMap<string, Operation> = new Map([
  ["safe", onValue((value, { budget }) => new SafeText(displayed(value, budget)))],
  ["escape", escapeFilter],
  ["e", escapeFilter],
  ["upper", onText((text) => text.toUpperCase())],
  ["lower", onText((text) => text.toLowerCase())],
  ["title", onValue((value, { budget }) => titled(displayed(value, budget), budget))],
  ["capitalize", onText(capitalized)],
  ["replace", replaceFilter],
  ["trim", trimFilter],
  ["split", splitFilter],
  ["lines", linesFilter],
  ["indent", indentFilter],
  ["format", formatFilter],
  ["urlencode", urlEncodeFilter],
  ["tojson", jsonFilter],
  ["fromjson", fromJsonFilter],
  ["from_json", fromJsonFilter],
  ["string", onValue((value, { budget }) => (textOf(value) === undefined ? printed(value, budget) : value))],
  ["pprint", onValue((value, { budget }) => prettyPrinted(value, budget))],
  ["default", defaultFilter],
  ["d", defaultFilter],
  ["attr", attributeFilter],
  ["bool", onValue(isTrue)],
  ["int", onValue(toInteger)],
  ["float", onValue(toFloat)],
  ["abs", onValue(absolute)],
  ["round", roundFilter],
  ["length", onValue((value, { budget }) => counted(value, budget) ?? 0)],
  ["count", onValue(countedLength)],
]);

/** Characters have to be looked at to be counted. */
function counted(value: Value, budget: Budget): number | undefined {
  budget.read(textOf(value)?.length ?? 0);
  return lengthOf(value);
}

function countedLength(value: Value, { budget }: Render): Value {
  const length = counted(value, budget);
  if (length === undefined) throw refusal(`cannot calculate length of value of type ${kindOf(value)}`);
  return length;
}
