// Filters on lists, iterables and maps.
//
// Source: minijinja 2.24 filters.rs. Names of attributes may be paths ("a.b.0"). What is compared without case is
// compared without ASCII case.
import { Arguments } from "./arguments.ts";
import { type Budget, refusal } from "./budget.ts";
import { codePointsOf } from "./code-points.ts";
import { compareValues } from "./comparison.ts";
import { add } from "./operators.ts";
import { displayed } from "./printing.ts";
import { type Operation, type Render } from "./render.ts";
import { joined } from "./text-operations.ts";
import {
  absent,
  attributeOf,
  entriesOf,
  itemAt,
  itemsOf,
  iterated,
  IterableValue,
  isTrue,
  kindOf,
  lengthOf,
  listItemsOf,
  ObjectValue,
  SafeText,
  textOf,
  type Value,
} from "./values.ts";

function onItems(change: (items: readonly Value[], render: Render) => Value): Operation {
  return (values, render) => {
    const given = new Arguments(values, render.budget);
    const items = iterated(given.value(), render.budget);
    given.end();
    return change(items, render);
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

/** `value.a.b.0` for the path "a.b.0". @throws AppError `invalid_request` beyond something undefined */
function pathOf(value: Value, path: string): Value {
  return path
    .split(".")
    .reduce<Value>((part, name) => (/^\+?\d+$/.test(name) ? itemAt(part, Number(name)) : attributeOf(part, name)), value);
}

function pathOrDefault(value: Value, path: string, otherwise: Value): Value {
  const found = quietPath(value, path);
  return found === undefined ? otherwise : found;
}

function quietPath(value: Value, path: string): Value {
  let part = value;
  for (const name of path.split(".")) {
    if (part === undefined) return undefined;
    part = pathOf(part, name);
  }
  return part;
}

interface Ordering {
  readonly caseSensitive: boolean;
  readonly reverse: boolean;
}

function compareBy(left: Value, right: Value, ordering: Ordering, budget: Budget): number {
  const order = compareValues(foldCase(left, ordering), foldCase(right, ordering), budget);
  return ordering.reverse ? -order : order;
}

function foldCase(value: Value, { caseSensitive }: Ordering): Value {
  const text = caseSensitive ? undefined : textOf(value);
  return text === undefined ? value : text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

const sortFilter: Operation = (values, { budget }) => {
  const { positional, keywords } = Arguments.withKeywords(values, budget);
  const items = iterated(positional.value(), budget);
  const ordering = { caseSensitive: keywords.flag("case_sensitive") ?? false, reverse: keywords.flag("reverse") ?? false };
  const attribute = keywords.exactText("attribute");
  positional.end();
  keywords.end();
  const keyed = items.map((item) => ({ item, key: attribute === undefined ? item : sortKey(item, attribute) }));
  budget.spend(items.length * Math.ceil(Math.log2(items.length + 1)));
  return keyed.sort((a, b) => compareBy(a.key, b.key, ordering, budget)).map(({ item }) => item);
};

/** Several attributes, with commas between, sort by the first, then the second. */
function sortKey(item: Value, attribute: string): Value {
  const names = attribute.split(",").filter((name) => name !== "");
  return names.length > 1 ? names.map((name) => quietPath(item, name.trim())) : quietPath(item, names[0]?.trim() ?? attribute);
}

const dictSortFilter: Operation = (values, { budget }) => {
  const { positional, keywords } = Arguments.withKeywords(values, budget);
  const entries = entriesOf(positional.value());
  if (entries === undefined) throw refusal("cannot convert value into pair list");
  const part = keywords.exactText("by") === "value" ? 1 : 0;
  const ordering = { caseSensitive: keywords.flag("case_sensitive") ?? false, reverse: keywords.flag("reverse") ?? false };
  positional.end();
  keywords.end();
  budget.spend(entries.length);
  return [...entries].sort((a, b) => compareBy(a[part], b[part], ordering, budget));
};

const uniqueFilter: Operation = (values, { budget }) => {
  const { positional, keywords } = Arguments.withKeywords(values, budget);
  const items = iterated(positional.value(), budget);
  const attribute = keywords.exactText("attribute");
  const caseSensitive = keywords.flag("case_sensitive") ?? false;
  positional.end();
  keywords.end();
  const seen: Value[] = [];
  return items.filter((item) => {
    const value = attribute === undefined ? item : quietPath(item, attribute);
    const key = caseSensitive ? value : (textOf(value)?.toLowerCase() ?? value);
    budget.spend(seen.length);
    if (seen.some((other) => compareValues(other, key, budget) === 0)) return false;
    seen.push(key);
    return true;
  });
};

/** One group of `groupby`: a pair that also has names. */
class Group extends ObjectValue {
  readonly kind = "sequence";
  readonly #key: Value;
  readonly #list: Value;

  constructor(key: Value, items: readonly Value[]) {
    super();
    this.#key = key;
    this.#list = new IterableValue(items);
  }
  override member(name: string): Value | typeof absent {
    if (name === "grouper") return this.#key;
    return name === "list" ? this.#list : absent;
  }
  override memberNames(): readonly string[] {
    return ["grouper", "list"];
  }
  override items(): readonly Value[] {
    return [this.#key, this.#list];
  }
}

const groupByFilter: Operation = (values, { budget }) => {
  const { positional, keywords } = Arguments.withKeywords(values, budget);
  const items = iterated(positional.value(), budget);
  const attribute = positional.optionalExactText() ?? keywords.exactText("attribute");
  if (attribute === undefined) throw refusal("missing keyword argument 'attribute'");
  const otherwise = keywords.value("default");
  const ordering = { caseSensitive: keywords.flag("case_sensitive") ?? false, reverse: false };
  positional.end();
  keywords.end();
  const keyed = items.map((item) => ({ item, key: pathOrDefault(item, attribute, otherwise) }));
  keyed.sort((a, b) => compareBy(a.key, b.key, ordering, budget));
  const groups: { key: Value; items: Value[] }[] = [];
  for (const { item, key } of keyed) {
    const last = groups.at(-1);
    if (last !== undefined && compareBy(last.key, key, ordering, budget) === 0) last.items.push(item);
    else groups.push({ key, items: [item] });
  }
  return groups.map((group) => new Group(group.key, group.items));
};

/** select, reject, selectattr, rejectattr: items (or an attribute of theirs) that pass a test, or are true. */
function selecting(byAttribute: boolean, keeps: boolean): Operation {
  return (values, render) => {
    const given = new Arguments(values, render.budget);
    const items = iterated(given.value(), render.budget);
    const attribute = byAttribute ? given.text() : undefined;
    const test = namedTest(given.optionalText(), render);
    const rest = given.rest();
    return items.filter((item) => {
      const value = attribute === undefined ? item : pathOf(item, attribute);
      return isTrue(test([value, ...rest], render)) === keeps;
    });
  };
}

function namedTest(name: string | undefined, render: Render): Operation {
  if (name === undefined) return ([value]) => isTrue(value);
  const test = render.tests.get(name);
  if (test === undefined) throw refusal(`test ${name} is unknown`);
  return test;
}

const mapFilter: Operation = (values, render) => {
  const { positional, keywords } = Arguments.withKeywords(values, render.budget);
  const value = positional.value();
  const given = positional.rest();
  const attribute = keywords.value("attribute") ?? null;
  if (attribute === null) return mappedByFilter(iterated(value, render.budget), given, render);
  if (given.length > 0) throw refusal("too many arguments");
  const otherwise = keywords.value("default");
  keywords.end();
  return iterated(value, render.budget).map((item) => mappedAttribute(item, attribute, otherwise));
};

function mappedAttribute(item: Value, attribute: Value, otherwise: Value): Value {
  const path = textOf(attribute);
  if (otherwise === undefined) return path === undefined ? itemAt(item, attribute) : pathOf(item, path);
  if (path !== undefined) return pathOrDefault(item, path, otherwise);
  const found = item === undefined ? undefined : itemAt(item, attribute);
  return found === undefined ? otherwise : found;
}

function mappedByFilter(items: readonly Value[], [name, ...rest]: readonly Value[], render: Render): Value {
  const text = textOf(name);
  if (text === undefined) throw refusal("filter name is required and must be a string");
  const filter = render.filters.get(text);
  if (filter === undefined) throw refusal(`filter ${text} is unknown`);
  return items.map((item) => filter([item, ...rest], render));
}

const joinFilter: Operation = (values, { budget }) => {
  const given = new Arguments(values, budget);
  const [value, separator] = [given.value(), given.optionalText() ?? ""];
  given.end();
  const items = itemsOf(value, budget);
  if (items === undefined) throw refusal(`cannot join value of type ${kindOf(value)}`);
  return joined(
    items.map((item) => displayed(item, budget)),
    separator,
    budget,
  );
};

const batchFilter: Operation = (values, { budget }) => {
  const { items, count, filler, isFilled } = divisionOf(values, budget);
  const batches: Value[][] = [];
  for (let at = 0; at < items.length; at += count) batches.push(items.slice(at, at + count));
  const last = batches.at(-1);
  if (last !== undefined && isFilled) {
    budget.spend(count - last.length);
    while (last.length < count) last.push(filler);
  }
  return batches;
};

const sliceFilter: Operation = (values, { budget }) => {
  const { items, count, filler, isFilled } = divisionOf(values, budget);
  budget.spend(count);
  const size = Math.floor(items.length / count);
  const larger = items.length % count;
  let at = 0;
  return Array.from({ length: count }, (_, index) => {
    const slice = items.slice(at, at + size + (index < larger ? 1 : 0));
    at += slice.length;
    return isFilled && index >= larger ? [...slice, filler] : slice;
  });
};

function divisionOf(values: readonly Value[], budget: Budget) {
  const given = new Arguments(values, budget);
  const items = iterated(given.value(), budget);
  const count = given.count();
  const filler = given.optionalValue();
  given.end();
  if (count === 0) throw refusal("count cannot be 0");
  return { items, count, filler, isFilled: filler !== undefined && filler !== null };
}

function firstOf(value: Value): Value {
  const text = textOf(value);
  if (text !== undefined) return [...text.slice(0, 2)][0];
  const items = listItemsOf(value) ?? entriesOf(value)?.map(([key]) => key);
  if (items === undefined) throw refusal("cannot get first item from value");
  return items[0];
}

function lastOf(value: Value): Value {
  const text = textOf(value);
  if (text !== undefined) return codePointsOf(text.slice(-2)).at(-1);
  const items = listItemsOf(value);
  if (items === undefined) throw refusal("cannot get last item from value");
  return items.at(-1);
}

/** Maps come out in their own order: minijinja's reversal of an ordered map is lost on the way. */
function reversed(value: Value, { budget }: Render): Value {
  const text = textOf(value);
  if (text !== undefined) {
    const backwards = codePointsOf(text).reverse().join("");
    return value instanceof SafeText ? new SafeText(backwards) : backwards;
  }
  if (value === undefined || value === null) return value;
  const items = listItemsOf(value);
  if (items !== undefined) return new IterableValue([...items].reverse());
  if (entriesOf(value) === undefined) throw refusal(`cannot reverse values of type ${kindOf(value)}`);
  return new IterableValue(iterated(value, budget));
}

function sumOf(items: readonly Value[], { budget }: Render): Value {
  let sum: Value = 0;
  for (const item of items) {
    if (item === undefined) continue;
    if (kindOf(item) !== "number") throw refusal(`can only sum numbers, got ${kindOf(item)}`);
    sum = add(sum, item, budget);
  }
  return sum;
}

function extremeOf(items: readonly Value[], isBetter: (order: number) => boolean, budget: Budget): Value {
  let best = items[0];
  for (const item of items.slice(1)) {
    if (isBetter(compareValues(item, best, budget))) best = item;
  }
  return best;
}

const chainFilter: Operation = (values, { budget }) => {
  if (values.every((value) => kindOf(value) === "map")) return mergedMap(values, budget);
  const items = values.flatMap((value) => iterated(value, budget));
  return values.every((value) => kindOf(value) === "sequence") ? items : new IterableValue(items, false);
};

/** Keys sorted; of equal keys the last map's value. */
function mergedMap(maps: readonly Value[], budget: Budget): Value {
  const entries = maps.flatMap((map) => entriesOf(map) ?? []);
  budget.spend(entries.length);
  const merged = new Map(entries);
  return new Map([...merged].sort(([a], [b]) => compareValues(a, b, budget)));
}

const zipFilter: Operation = (values, { budget }) => {
  const lists = values.map((value) => iterated(value, budget));
  const length = Math.min(...lists.map((list) => list.length));
  budget.spend(length * lists.length);
  const tuples = Array.from({ length }, (_, index) => lists.map((list) => list[index]));
  return new IterableValue(
    tuples,
    values.every((value) => lengthOf(value) !== undefined),
  );
};

function pairsOf(value: Value): Value {
  const entries = entriesOf(value);
  if (entries === undefined) throw refusal("cannot convert value into pairs");
  return new IterableValue(entries.map((entry) => [...entry]));
}

export const listFilters: ReadonlyMap<string, Operation> = new Map([
  ["list", onItems((items) => items)],
  ["first", onValue(firstOf)],
  ["last", onValue(lastOf)],
  ["reverse", onValue(reversed)],
  ["sum", onItems(sumOf)],
  ["min", onItems((items, { budget }) => extremeOf(items, (order) => order < 0, budget))],
  ["max", onItems((items, { budget }) => extremeOf(items, (order) => order >= 0, budget))],
  ["sort", sortFilter],
  ["dictsort", dictSortFilter],
  ["items", onValue(pairsOf)],
  ["unique", uniqueFilter],
  ["groupby", groupByFilter],
  ["join", joinFilter],
  ["batch", batchFilter],
  ["slice", sliceFilter],
  ["select", selecting(false, true)],
  ["reject", selecting(false, false)],
  ["selectattr", selecting(true, true)],
  ["rejectattr", selecting(true, false)],
  ["map", mapFilter],
  ["chain", chainFilter],
  ["zip", zipFilter],
]);
