// Filters on lists, iterables and maps.
//
// Source: minijinja 2.24 filters.rs. Names of attributes may be paths ("a.b.0").
import { Arguments } from "./arguments.ts";
import { pathOf, pathOrDefault } from "./attribute-path.ts";
import { type Budget, refusal } from "./budget.ts";
import { codePointsOf } from "./code-points.ts";
import { compareValues } from "./comparison.ts";
import { add } from "./operators.ts";
import { displayed } from "./printing.ts";
import { type Operation, type Render } from "./render.ts";
import { joined } from "./text-operations.ts";
import {
  entriesOf,
  itemAt,
  itemsOf,
  iterated,
  IterableValue,
  isTrue,
  kindOf,
  lengthOf,
  listItemsOf,
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
    budget.spend(text.length);
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
  ["items", onValue(pairsOf)],
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
