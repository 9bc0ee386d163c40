// Values a template computes with.
//
//   undefined  undefined        text       string, or SafeText (marked not to be escaped again)
//   none       null             sequence   array; Group
//   bool       boolean          iterable   IterableValue: slices, sums and reversals of lists, ranges, keys of maps
//   number     Integer, JsonFloat   map    Map (order kept, keys of any kind); Namespace, loop, macro
//                               plain      functions
//
// Source: minijinja 2.24 value/mod.rs, value/object.rs (built with key order kept).
// I1  Values are never changed once made, but Namespace, which a template sets on purpose.
// I2  What came from JSON is used as it is: LosslessJson is a Value.
import { JsonFloat, type LosslessJson } from "@mm-router/protocol";
import { type Budget, refusal } from "./budget.ts";
import { codePointAt, codePointCount, codePointsOf } from "./code-points.ts";
import type { Integer } from "./numbers.ts";

export type Value =
  | undefined
  | null
  | boolean
  | Integer
  | JsonFloat
  | string
  | SafeText
  | readonly Value[]
  | IterableValue
  | ReadonlyMap<Value, Value>
  | ObjectValue
  | LosslessJson;

/** In the order in which values of different kinds are sorted. */
export const kinds = ["undefined", "none", "bool", "number", "string", "sequence", "map", "iterable", "plain object"] as const;
export type Kind = (typeof kinds)[number];

/** Text that is markup already: the result of `safe`, `escape`, `tojson`. */
export class SafeText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Items that are not a list: not `sequence`, but iterated, indexed and printed like one. */
export class IterableValue {
  readonly items: readonly Value[];
  /** False where minijinja cannot tell the length beforehand: no `loop.length`, length 0, printed `<iterator>`. */
  readonly sized: boolean;

  constructor(items: readonly Value[], sized = true) {
    this.items = items;
    this.sized = sized;
  }
}

/** What has members but is no Map. Subclasses say what they are. */
export abstract class ObjectValue {
  abstract readonly kind: "map" | "sequence" | "plain object";
  /** The member, or `absent`. */
  abstract member(name: string): Value | typeof absent;
  /** Names of the members, in order; items of a sequence are not members. */
  abstract memberNames(): readonly string[];
  /** Its own printed form; undefined: printed like a map or list of its kind. */
  print(): string | undefined {
    return undefined;
  }
  /** Items, where it is a sequence. */
  items(): readonly Value[] {
    return this.memberNames();
  }
}

/** What a look-up gives that finds nothing: a member may itself be undefined. */
export const absent = Symbol("absent");

/** `namespace()`: the one value that templates change (I1). */
export class Namespace extends ObjectValue {
  readonly kind = "map";
  readonly #members = new Map<string, Value>();

  set(name: string, value: Value): void {
    this.#members.set(name, value);
  }
  override member(name: string): Value | typeof absent {
    return this.#members.has(name) ? this.#members.get(name) : absent;
  }
  override memberNames(): readonly string[] {
    return [...this.#members.keys()].sort();
  }
}

/** Named arguments of a call; they travel as its last argument, and functions that do not ask for them see a map. */
export class KeywordArguments extends ObjectValue {
  readonly kind = "map";
  readonly values: ReadonlyMap<string, Value>;

  constructor(values: ReadonlyMap<string, Value>) {
    super();
    this.values = values;
  }
  override member(name: string): Value | typeof absent {
    return this.values.has(name) ? this.values.get(name) : absent;
  }
  override memberNames(): readonly string[] {
    return [...this.values.keys()];
  }
}

export function isMap(value: Value): value is ReadonlyMap<Value, Value> {
  return value instanceof Map;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isInteger(value: Value): value is Integer {
  return typeof value === "number" || typeof value === "bigint";
}

/** The text of a text value, safe or not. */
export function textOf(value: Value): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof SafeText ? value.text : undefined;
}

export function kindOf(value: Value): Kind {
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "boolean":
      return "bool";
    case "number":
    case "bigint":
      return "number";
    case "string":
      return "string";
    default:
      return value === null ? "none" : objectKindOf(value);
  }
}

function objectKindOf(value: object): Kind {
  if (Array.isArray(value)) return "sequence";
  if (value instanceof Map) return "map";
  if (value instanceof JsonFloat) return "number";
  if (value instanceof SafeText) return "string";
  return value instanceof IterableValue ? "iterable" : (value as ObjectValue).kind;
}

export function isTrue(value: Value): boolean {
  if (typeof value !== "object" || value === null) return Boolean(value);
  if (value instanceof JsonFloat) return value.value !== 0;
  if (value instanceof SafeText) return value.text !== "";
  return lengthOf(value) !== 0;
}

/** Characters, items or members; undefined where there is no such number. */
export function lengthOf(value: Value): number | undefined {
  const text = textOf(value);
  if (text !== undefined) return codePointCount(text);
  if (isList(value)) return value.length;
  if (isMap(value)) return value.size;
  if (value instanceof IterableValue) return value.sized ? value.items.length : undefined;
  return value instanceof ObjectValue && value.kind !== "plain object" ? value.items().length : undefined;
}

/** What a loop over `value` gets: items, keys, characters, nothing for none and undefined; undefined where it fails. */
export function itemsOf(value: Value, budget: Budget): readonly Value[] | undefined {
  const characters = textOf(value)?.length;
  if (characters !== undefined) budget.spend(characters); // before they are made
  const items = listedItemsOf(value);
  if (items !== undefined && characters === undefined) budget.spend(items.length);
  return items;
}

function listedItemsOf(value: Value): readonly Value[] | undefined {
  if (value === undefined || value === null) return [];
  if (isList(value)) return value;
  if (value instanceof IterableValue) return value.items;
  if (isMap(value)) return [...value.keys()];
  if (value instanceof ObjectValue) return value.kind === "plain object" ? undefined : value.items();
  const text = textOf(value);
  return text === undefined ? undefined : codePointsOf(text);
}

/** Items of lists and iterables, but neither of maps nor of text. */
export function listItemsOf(value: Value): readonly Value[] | undefined {
  if (isList(value)) return value;
  if (value instanceof IterableValue) return value.items;
  return value instanceof ObjectValue && value.kind === "sequence" ? value.items() : undefined;
}

/** As `itemsOf`. @throws AppError `invalid_request` where the value cannot be iterated */
export function iterated(value: Value, budget: Budget): readonly Value[] {
  const items = itemsOf(value, budget);
  if (items === undefined) throw refusal(`${kindOf(value)} is not iterable`);
  return items;
}

/** Pairs of a map of any kind; undefined for what is no map. */
export function entriesOf(value: Value): readonly (readonly [Value, Value])[] | undefined {
  if (isMap(value)) return [...value];
  if (!(value instanceof ObjectValue) || value.kind !== "map") return undefined;
  return value.memberNames().map((name) => [name, presentOr(value.member(name), undefined)]);
}

/** `value.name`. @throws AppError `invalid_request` on undefined; undefined for what has no such member */
export function attributeOf(value: Value, name: string): Value {
  if (value === undefined) throw refusal("undefined value");
  return presentOr(memberOf(value, name), undefined);
}

/** A named member of a map or object, without regard to what else `value` could be. */
export function memberOf(value: Value, name: string): Value | typeof absent {
  if (isMap(value)) return value.has(name) ? value.get(name) : absent;
  return value instanceof ObjectValue ? value.member(name) : absent;
}

export function presentOr<T>(found: Value | typeof absent, otherwise: T): Value | T {
  return found === absent ? otherwise : found;
}

/** `value[key]`. @throws AppError `invalid_request` on undefined */
export function itemAt(value: Value, key: Value): Value {
  if (value === undefined) throw refusal("undefined value");
  if (isMap(value)) return presentOr(mapMember(value, key), undefined);
  const text = textOf(value);
  if (text !== undefined)
    return indexed(
      key,
      () => codePointCount(text),
      (index) => codePointAt(text, index),
    );
  if (isList(value))
    return indexed(
      key,
      () => value.length,
      (index) => value[index],
    );
  if (value instanceof IterableValue)
    return indexed(
      key,
      () => (value.sized ? value.items.length : undefined),
      (index) => value.items[index],
    );
  return value instanceof ObjectValue ? objectItemAt(value, key) : undefined;
}

function objectItemAt(value: ObjectValue, key: Value): Value {
  const name = textOf(key);
  if (name !== undefined) return presentOr(value.member(name), undefined);
  return value.kind === "sequence"
    ? indexed(
        key,
        () => value.items().length,
        (index) => value.items()[index],
      )
    : undefined;
}

/** Counts from the end below zero. */
function indexed(key: Value, length: () => number | undefined, at: (index: number) => Value): Value {
  const index = exactInteger(key);
  if (typeof index !== "number") return undefined;
  if (index >= 0) return at(index);
  const end = length();
  return end === undefined || end + index < 0 ? undefined : at(end + index);
}

/** Integers, floats without fraction, and booleans as an integer; undefined for all else. */
export function exactInteger(value: Value): Integer | undefined {
  if (isInteger(value)) return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  return value instanceof JsonFloat && Number.isSafeInteger(value.value) ? value.value + 0 : undefined;
}

/** The member of a map under a key of any kind. */
export function mapMember(map: ReadonlyMap<Value, Value>, key: Value): Value | typeof absent {
  const stored = storedKey(map, key);
  return stored === absent ? absent : map.get(stored);
}

/** A map literal: of equal keys the first one's form and the last one's value. */
export function mapOf(keys: readonly Value[], values: readonly Value[]): ReadonlyMap<Value, Value> {
  const map = new Map<Value, Value>();
  for (const [index, key] of keys.entries()) {
    map.set(presentOr(storedKey(map, key), textOf(key) ?? key), values[index]);
  }
  return map;
}

/** The key of `map` that equals `key` (1, 1.0 and true are one key), or `absent`. */
export function storedKey(map: ReadonlyMap<Value, Value>, key: Value): Value | typeof absent {
  if (map.has(key)) return key;
  const wanted = comparableKey(key);
  if (map.has(wanted)) return wanted;
  if (typeof wanted === "string") return absent;
  for (const name of map.keys()) {
    if (comparableKey(name) === wanted) return name;
  }
  return absent;
}

function comparableKey(key: Value): Value {
  return textOf(key) ?? exactInteger(key) ?? (key instanceof JsonFloat ? key.value : key);
}
