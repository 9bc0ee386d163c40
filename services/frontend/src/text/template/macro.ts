// Macros, and the body of a `{% call %}` block, as values that are called.
//
// Source: minijinja 2.24 vm/macro_object.rs. Defaults are computed from the last parameter to the first, so
// `macro m(a, b=a)` does not see the argument `a`.
import { refusal } from "./budget.ts";
import type { Frame } from "./frame.ts";
import { absent, KeywordArguments, ObjectValue, SafeText, type Value } from "./values.ts";

export interface MacroParameter {
  readonly name: string;
  /** Computes the default in the macro's frame. */
  readonly otherwise?: (frame: Frame) => Value;
}

export interface MacroCode {
  readonly name: string;
  readonly parameters: readonly MacroParameter[];
  /** Whether the body mentions `caller`: only then may it be called with a block. */
  readonly usesCaller: boolean;
  readonly body: (frame: Frame) => string;
}

export class MacroValue extends ObjectValue {
  readonly kind = "map";
  readonly #code: MacroCode;
  readonly #definedIn: Frame;

  constructor(code: MacroCode, definedIn: Frame) {
    super();
    this.#code = code;
    this.#definedIn = definedIn;
  }

  override member(name: string): Value | typeof absent {
    if (name === "name") return this.#code.name;
    if (name === "arguments") return this.#code.parameters.map((parameter) => parameter.name);
    return name === "caller" ? this.#code.usesCaller : absent;
  }

  override memberNames(): readonly string[] {
    return ["name", "arguments", "caller"];
  }

  override print(): string {
    return `<macro ${this.#code.name}>`;
  }

  call(values: readonly Value[], caller: Frame): Value {
    const frame = this.#definedIn.forMacro(caller);
    const last = values.at(-1);
    const named = last instanceof KeywordArguments ? last.values : new Map<string, Value>();
    const positional = last instanceof KeywordArguments ? values.slice(0, -1) : values;
    this.#checkNames(positional, named);
    if (this.#code.usesCaller) frame.store("caller", named.get("caller"));
    for (const [index, parameter] of [...this.#code.parameters.entries()].reverse()) {
      const given = index < positional.length ? positional[index] : named.get(parameter.name);
      frame.store(parameter.name, given === undefined ? parameter.otherwise?.(frame) : given);
    }
    const text = this.#code.body(frame);
    return caller.render.escapes ? new SafeText(text) : text;
  }

  #checkNames(positional: readonly Value[], named: ReadonlyMap<string, Value>): void {
    const names = this.#code.parameters.map((parameter) => parameter.name);
    if (positional.length > names.length) throw refusal("too many arguments");
    for (const name of named.keys()) {
      const index = names.indexOf(name);
      if (index >= 0 && index < positional.length) throw refusal(`duplicate argument \`${name}\``);
      const isCaller = name === "caller" && this.#code.usesCaller;
      if (index < 0 && !isCaller) throw refusal(`unknown keyword argument \`${name}\``);
    }
  }
}
