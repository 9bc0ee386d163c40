// Python's methods on text, lists and maps, as far as the real frontend has them.
//
// Source: minijinja-contrib 2.24 pycompat.rs; strip, split, splitlines and isspace are Dynamo 1.6.1's own, with
// Python's idea of white space (U+001C–1F included). All take positional arguments only.
// Odd, but so it is: find and rfind count UTF-8 bytes; isalpha, isdigit, islower, isupper hold for "".
import { Arguments } from "./arguments.ts";
import { type Budget, refusal } from "./budget.ts";
import { isPythonSpace, pythonTrimEnd, pythonTrimStart, trimSetEnd, trimSetStart } from "./code-points.ts";
import { areEqual } from "./comparison.ts";
import { displayed } from "./printing.ts";
import { capitalized, joined, partsMax, pythonLines, pythonWords, replaced, splitBy, titled } from "./text-operations.ts";
import { braceFormatted } from "./text-format.ts";
import {
  absent,
  entriesOf,
  IterableValue,
  iterated,
  kindOf,
  listItemsOf,
  mapMember,
  memberOf,
  presentOr,
  textOf,
  type Value,
} from "./values.ts";

type TextMethod = (text: string, values: Arguments, budget: Budget) => Value;

function constant(result: (text: string) => Value): TextMethod {
  return (text, values) => {
    values.end();
    return result(text);
  };
}

function everyCharacter(pattern: RegExp): TextMethod {
  return constant((text) => pattern.test(text));
}

function stripping(sides: { start: boolean; end: boolean }): TextMethod {
  return (text, values) => {
    const characters = values.optionalExactText();
    values.end();
    const set = characters === undefined ? undefined : new Set(characters);
    let rest = text;
    if (sides.start) rest = set === undefined ? pythonTrimStart(rest) : trimSetStart(rest, set);
    if (sides.end) rest = set === undefined ? pythonTrimEnd(rest) : trimSetEnd(rest, set);
    return rest;
  };
}

function searching(search: (text: string, wanted: string) => Value): TextMethod {
  return (text, values) => {
    const wanted = values.exactText();
    values.end();
    return search(text, wanted);
  };
}

/** startswith, endswith: one text, or a list of which any will do. */
function matchingAffix(matches: (text: string, affix: string) => boolean): TextMethod {
  return (text, values) => {
    const affix = values.value();
    values.end();
    const affixes = textOf(affix) === undefined ? listItemsOf(affix) : [affix];
    if (affixes === undefined) throw refusal(`argument must be string or a tuple of strings, not ${kindOf(affix)}`);
    return affixes.some((candidate) => {
      const wanted = textOf(candidate);
      if (wanted === undefined) throw refusal(`tuple must contain only strings, not ${kindOf(candidate)}`);
      return matches(text, wanted);
    });
  };
}

function byteOffset(text: string, index: number): number {
  return index < 0 ? -1 : Buffer.byteLength(text.slice(0, index));
}

const textMethods: ReadonlyMap<string, TextMethod> = new Map([
  ["upper", constant((text) => text.toUpperCase())],
  ["lower", constant((text) => text.toLowerCase())],
  ["title", titleMethod],
  ["capitalize", constant(capitalized)],
  ["islower", everyCharacter(/^\p{Lowercase}*$/u)],
  ["isupper", everyCharacter(/^\p{Uppercase}*$/u)],
  ["isspace", constant(isPythonSpace)],
  ["isdigit", everyCharacter(/^\p{N}*$/u)],
  ["isnumeric", everyCharacter(/^\p{N}*$/u)],
  ["isalnum", everyCharacter(/^[\p{Alphabetic}\p{N}]*$/u)],
  ["isalpha", everyCharacter(/^\p{Alphabetic}*$/u)],
  ["isascii", constant((text) => Buffer.byteLength(text) === text.length)],
  ["strip", stripping({ start: true, end: true })],
  ["lstrip", stripping({ start: true, end: false })],
  ["rstrip", stripping({ start: false, end: true })],
  ["find", searching((text, wanted) => byteOffset(text, text.indexOf(wanted)))],
  ["rfind", searching((text, wanted) => byteOffset(text, text.lastIndexOf(wanted)))],
  ["count", countMethod],
  ["startswith", matchingAffix((text, affix) => text.startsWith(affix))],
  ["endswith", matchingAffix((text, affix) => text.endsWith(affix))],
  ["replace", replaceMethod],
  ["split", splitMethod],
  ["splitlines", splitLinesMethod],
  ["join", joinMethod],
  ["format", (text, values, budget) => braceFormatted(text, values.rest(), budget)],
]);

function replaceMethod(text: string, values: Arguments, budget: Budget): Value {
  const [from, to, times] = [values.exactText(), values.exactText(), values.optionalWhole()];
  values.end();
  return replaced(text, from, to, times, budget);
}

function titleMethod(text: string, values: Arguments, budget: Budget): Value {
  values.end();
  return titled(text, budget);
}

function countMethod(text: string, values: Arguments, budget: Budget): Value {
  const wanted = values.exactText();
  values.end();
  budget.spend(partsMax(text, wanted));
  return splitBy(text, wanted, undefined).length - 1;
}

function splitMethod(text: string, values: Arguments, budget: Budget): Value {
  const [separator, splits] = [values.optionalExactText(), values.optionalWhole()];
  values.end();
  budget.spend(partsMax(text, separator));
  return separator === undefined ? pythonWords(text, splits) : splitBy(text, separator, splits);
}

function splitLinesMethod(text: string, values: Arguments, budget: Budget): Value {
  const keepEnds = values.optionalFlag() ?? false;
  values.end();
  budget.spend(text.length);
  return pythonLines(text, keepEnds);
}

function joinMethod(text: string, values: Arguments, budget: Budget): Value {
  const items = iterated(values.value(), budget);
  values.end();
  return joined(
    items.map((item) => displayed(item, budget)),
    text,
    budget,
  );
}

/** Calls a Python method; `absent` where values of this kind have no such method. */
export function callPythonMethod(value: Value, name: string, values: readonly Value[], budget: Budget): Value | typeof absent {
  const text = textOf(value);
  const given = new Arguments(values, budget);
  if (text !== undefined) return callTextMethod(text, name, given, budget);
  if (kindOf(value) === "map") return callMapMethod(value, name, given);
  return kindOf(value) === "sequence" && name === "count" ? countItems(value, given, budget) : absent;
}

function callTextMethod(text: string, name: string, values: Arguments, budget: Budget): Value | typeof absent {
  const method = textMethods.get(name);
  if (method === undefined) return absent;
  budget.read(text.length);
  return method(text, values, budget);
}

function callMapMethod(map: Value, name: string, values: Arguments): Value | typeof absent {
  if (name === "get") return getOrDefault(map, values);
  const parts = mapParts[name];
  if (parts === undefined) return absent;
  values.end();
  return new IterableValue((entriesOf(map) ?? []).map(parts));
}

const mapParts: Readonly<Record<string, (entry: readonly [Value, Value]) => Value>> = {
  keys: ([key]) => key,
  values: ([, value]) => value,
  items: (entry) => [...entry],
};

function getOrDefault(map: Value, values: Arguments): Value {
  const [key, otherwise] = [values.value(), values.optionalValue()];
  values.end();
  const found = map instanceof Map ? mapMember(map, key) : memberOf(map, textOf(key) ?? "");
  return presentOr(found, otherwise ?? null);
}

function countItems(list: Value, values: Arguments, budget: Budget): Value {
  const wanted = values.value();
  values.end();
  return iterated(list, budget).filter((item) => areEqual(item, wanted, budget)).length;
}
