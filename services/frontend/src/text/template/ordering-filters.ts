// Filters that compare items: sort, dictsort, unique, groupby.
//
// Source: minijinja 2.24 filters.rs. Without `case_sensitive` text is compared without ASCII case. Names of attributes may be
// paths ("a.b.0").
import { Arguments } from "./arguments.ts";
import { pathOrDefault, quietPath } from "./attribute-path.ts";
import { type Budget, refusal } from "./budget.ts";
import { compareValues } from "./comparison.ts";
import type { Operation } from "./render.ts";
import { absent, entriesOf, iterated, IterableValue, ObjectValue, textOf, type Value } from "./values.ts";

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

export const orderingFilters: ReadonlyMap<string, Operation> = new Map([
  ["sort", sortFilter],
  ["dictsort", dictSortFilter],
  ["unique", uniqueFilter],
  ["groupby", groupByFilter],
]);
