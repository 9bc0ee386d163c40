// Format texts: `'%s is %d' | format(a, b)` and `'{} {name}'.format(a, name=b)`.
//
// Source: minijinja 2.24 format_utils.rs. Odd there and here: `%r` is unknown; `!r` too; `{}` and `{0}` do not mix.
import { type Budget, refusal } from "./budget.ts";
import { type Align, formatted, type FormatSpec, plainSpec } from "./format-spec.ts";
import { attributeOf, itemAt, KeywordArguments, kindOf, type Value } from "./values.ts";

const printfField = /%(?:%|(?:\(([^)]*)\))?([#0\- +]*)(\d*)(?:\.(\d*))?[hlL]?([diEeFfGgoxXcs])?)/g;

/** @throws AppError `invalid_request` for unknown conversions and missing arguments */
export function printfFormatted(format: string, values: readonly Value[], budget: Budget): string {
  let next = 0;
  const text = format.replace(printfField, (field, key: string | undefined, flags = "", width = "", precision, type) => {
    if (field === "%%") return "%";
    if (type === undefined) throw refusal("invalid or incomplete conversion in format text");
    const value = key === undefined ? nextValue(values, next++) : keyedValue(values, key);
    return formatted(printfSpec(flags, width, precision, type), value, budget);
  });
  return budget.text(text);
}

function printfSpec(flags: string, width: string, precision: string | undefined, type: string): FormatSpec {
  const left = flags.includes("-");
  const zeroed = flags.includes("0") && !left && width !== "";
  return {
    ...plainSpec,
    style: "printf",
    align: left ? "<" : undefined,
    sign: flags.includes("+") ? "+" : flags.includes(" ") ? " " : "",
    alternate: flags.includes("#"),
    zeroPadded: zeroed,
    width: width === "" ? undefined : Number(width),
    precision: precision === undefined || precision === "" ? undefined : Number(precision),
    type: type === "i" ? "d" : type,
  };
}

function nextValue(values: readonly Value[], index: number): Value {
  if (index >= values.length) throw refusal("missing an argument for the format text");
  return values[index];
}

function keyedValue(values: readonly Value[], key: string): Value {
  const map = nextValue(values, 0);
  if (kindOf(map) !== "map") throw refusal("format argument must be a mapping");
  const value = attributeOf(map, key);
  if (value === undefined) throw refusal(`format argument has no '${key}'`);
  return value;
}

const replacementField = /\{\{|\}\}|\{([^{}:]*)(?::([^{}]*))?\}|[{}]/g;

/** @throws AppError `invalid_request` for faulty fields and missing arguments */
export function braceFormatted(format: string, values: readonly Value[], budget: Budget): string {
  const fields = new FieldValues(values);
  const text = format.replace(replacementField, (field, name: string | undefined, spec: string | undefined) => {
    if (field === "{{") return "{";
    if (field === "}}") return "}";
    if (name === undefined) throw refusal("single brace in format text");
    return formatted(spec === undefined ? plainSpec : braceSpec(spec), fields.value(name), budget);
  });
  return budget.text(text);
}

/** Arguments by position, by number or by name. */
class FieldValues {
  readonly #values: readonly Value[];
  readonly #named: Value;
  #next = 0;
  #numbered = false;

  constructor(values: readonly Value[]) {
    const last = values.at(-1);
    this.#named = last instanceof KeywordArguments ? last : new KeywordArguments(new Map());
    this.#values = last instanceof KeywordArguments ? values.slice(0, -1) : values;
  }

  value(field: string): Value {
    if (field === "") return this.#automatic();
    const match = /^(?:(\d+)|([A-Za-z_]\w*))((?:\.[A-Za-z_]\w*|\[[^\]]*\])*)$/.exec(field);
    if (match === null) throw refusal(`invalid field '${field}' in format text`);
    const [, number, name = "", path = ""] = match;
    const root = number === undefined ? attributeOf(this.#named, name) : this.#byNumber(Number(number));
    const value = pathValue(root, path);
    if (value === undefined) throw refusal(`argument not found for format field '${field}'`);
    return value;
  }

  #automatic(): Value {
    if (this.#numbered) throw refusal("cannot switch from manual field specification to automatic numbering");
    return nextValue(this.#values, this.#next++);
  }

  #byNumber(index: number): Value {
    if (this.#next > 0) throw refusal("cannot switch from automatic numbering to manual field specification");
    this.#numbered = true;
    return nextValue(this.#values, index);
  }
}

function pathValue(root: Value, path: string): Value {
  let value = root;
  for (const [, attribute, key = ""] of path.matchAll(/\.(\w+)|\[([^\]]*)\]/g)) {
    if (attribute !== undefined) value = attributeOf(value, attribute);
    else value = /^\d+$/.test(key) ? itemAt(value, Number(key)) : attributeOf(value, key);
  }
  return value;
}

const specification = /^(?:(.)?([<>^]))?([+ -])?(#)?(0)?(\d+)?([,_])?(?:\.(\d*))?([bdEeFfGgoxXcs])?$/su;

function braceSpec(text: string): FormatSpec {
  const match = specification.exec(text);
  if (match === null) throw refusal(`invalid format spec '${text}'`);
  const [, fill = " ", align, sign = "", alternate, zero, width, grouping = "", precision, type = ""] = match;
  if (type === "c" && (sign !== "" || alternate !== undefined || grouping !== ""))
    throw refusal("sign, '#' and ',' are not allowed with 'c'");
  return {
    ...plainSpec,
    fill,
    align: align as Align | undefined,
    sign: sign === "-" ? "" : (sign as FormatSpec["sign"]),
    alternate: alternate !== undefined,
    zeroPadded: zero !== undefined && width !== undefined,
    width: width === undefined ? undefined : Number(width),
    grouping: grouping as FormatSpec["grouping"],
    precision: precision === undefined || precision === "" ? undefined : Number(precision),
    type,
  };
}
