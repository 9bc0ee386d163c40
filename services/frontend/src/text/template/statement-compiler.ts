// Statements → functions that write to an output.
//
// Source: minijinja 2.24 compiler/codegen.rs, vm/mod.rs. Odd there and here: the `else` of a loop also runs when its
// first turn breaks.
import type { Assignment, ForStatement, Macro, Statement, Target, Use } from "./ast.ts";
import { refusal } from "./budget.ts";
import { areEqual } from "./comparison.ts";
import { compileCall, compileExpression, compileFilterUse, type Evaluate } from "./expression-compiler.ts";
import type { Frame } from "./frame.ts";
import { LoopValue } from "./loop.ts";
import { type MacroCode, MacroValue } from "./macro.ts";
import { Output } from "./output.ts";
import { emitted } from "./render.ts";
import { isTrue, itemsOf, iterated, kindOf, Namespace, ObjectValue, SafeText, textOf, type Value } from "./values.ts";

/** How a statement left: a loop control reaches for its loop, nothing goes on. */
type Signal = "break" | "continue" | undefined;

export type Execute = (frame: Frame, output: Output) => Signal;
type Assign = (value: Value, frame: Frame) => void;
type OfKind<K extends Statement["kind"]> = Extract<Statement, { kind: K }>;

/** Blocks found on the way, for `self.name()`. */
export type Blocks = Map<string, Execute>;

/** A turn of a loop sets up names and its `loop`, whatever its body does. */
const stepsPerTurn = 4;

export class StatementCompiler {
  readonly blocks: Blocks = new Map();

  compile(statements: readonly Statement[]): Execute {
    const steps = statements.map((statement) => this.#statement(statement));
    return (frame, output) => {
      frame.budget.spend(steps.length);
      for (const step of steps) {
        const signal = step(frame, output);
        if (signal !== undefined) return signal;
      }
      return undefined;
    };
  }

  #statement(statement: Statement): Execute {
    switch (statement.kind) {
      case "data":
        return (_, output) => output.write(statement.text);
      case "output":
        return writing(compileExpression(statement.value));
      case "for":
        return this.#for(statement);
      case "if":
        return this.#if(statement);
      case "set":
        return assigning(compileTarget(statement.target), compileExpression(statement.value));
      case "set-block":
        return this.#setBlock(statement);
      case "with":
        return this.#with(statement);
      case "filter-block":
        return this.#filterBlock(statement);
      case "autoescape":
        return this.#autoescape(statement);
      case "macro":
        return this.#macro(statement.macro);
      case "call-block":
        return this.#callBlock(statement);
      case "do":
        return this.#do(statement);
      case "block":
        return this.#block(statement);
      case "include":
        return () => (statement.ignoresMissing ? undefined : failing("tried to include non-existing template"));
      case "import":
        return () => failing(`{% ${statement.tag} %} needs a second template, and a model has one`);
      case "break":
      case "continue":
        return () => statement.kind;
    }
  }

  #if({ branches, otherwise }: OfKind<"if">): Execute {
    const compiled = branches.map(({ test, body }) => ({ test: compileExpression(test), body: this.compile(body) }));
    const last = this.compile(otherwise);
    return (frame, output) => {
      for (const { test, body } of compiled) {
        if (isTrue(test(frame))) return body(frame, output);
      }
      return last(frame, output);
    };
  }

  #for(statement: ForStatement): Execute {
    const iterable = compileExpression(statement.iterable);
    const select = compileCondition(statement);
    const otherwise = this.compile(statement.otherwise);
    const turns = this.#turns(statement);
    return (frame, output) => {
      const isDone = turns(select(iterable(frame), frame), frame, output);
      return isDone ? undefined : otherwise(frame, output);
    };
  }

  /** @returns whether the loop ran: false for no items, and when the first turn broke */
  #turns({ target, body, isRecursive }: ForStatement): (value: Value, frame: Frame, output: Output) => boolean {
    const [assign, run] = [compileTarget(target), this.compile(body)];
    const turns = (value: Value, frame: Frame, output: Output): boolean => {
      const items = iterated(value, frame.budget);
      const outer = frame.currentLoop();
      const loop = new LoopValue(items, value, {
        depth: outer?.recurse === undefined ? 0 : outer.depth + 1,
        isVisible: true,
        ...(isRecursive ? { recurse: (others: Value, from: Frame) => captured(from, (inner) => void turns(others, from, inner)) } : {}),
      });
      const inner = frame.inner(loop);
      for (const [index, item] of items.entries()) {
        frame.budget.spend(stepsPerTurn);
        inner.forget();
        loop.turn(index);
        assign(item, inner);
        if (run(inner, output) === "break") return index > 0;
      }
      return items.length > 0;
    };
    return turns;
  }

  #setBlock({ target, filters, body }: OfKind<"set-block">): Execute {
    return assigning(compileTarget(target), this.#filteredBody(filters, body));
  }

  #filterBlock({ filters, body }: OfKind<"filter-block">): Execute {
    return writing(this.#filteredBody(filters, body));
  }

  /** The text that `body` writes, through the filters in order. */
  #filteredBody(filters: readonly Use[], body: readonly Statement[]): Evaluate {
    const [uses, run] = [filters.map(compileFilterUse), this.compile(body)];
    return (frame) => uses.reduce((value, apply) => apply(value, frame), capturedValue(frame, run));
  }

  #with({ assignments, body }: OfKind<"with">): Execute {
    const steps = assignments.map(compileAssignment);
    const run = this.compile(body);
    return (frame, output) => {
      const inner = frame.inner();
      for (const step of steps) step(inner, output);
      return run(inner, output);
    };
  }

  #autoescape({ enabled, body }: OfKind<"autoescape">): Execute {
    const [value, run] = [compileExpression(enabled), this.compile(body)];
    return (frame, output) => {
      const before = frame.render.escapes;
      frame.render.escapes = escapesFor(value(frame), frame);
      const signal = run(frame, output);
      frame.render.escapes = before;
      return signal;
    };
  }

  #macro(macro: Macro): Execute {
    const code = this.#macroCode(macro);
    return (frame) => {
      frame.store(macro.name, new MacroValue(code, frame));
      return undefined;
    };
  }

  #macroCode({ name, parameters, usesCaller, body }: Macro): MacroCode {
    const run = this.compile(body);
    return {
      name,
      usesCaller,
      parameters: parameters.map((parameter) => ({
        name: parameter.name,
        ...(parameter.otherwise === undefined ? {} : { otherwise: compileExpression(parameter.otherwise) }),
      })),
      body: (frame) => captured(frame, (output) => void run(frame, output)),
    };
  }

  #callBlock({ call, caller }: OfKind<"call-block">): Execute {
    const [target, code] = [compileCall(call), this.#macroCode(caller)];
    return (frame, output) => output.write(emitted(target(frame, new MacroValue(code, frame)), frame.render));
  }

  #do({ call }: OfKind<"do">): Execute {
    const target = compileCall(call);
    return (frame) => {
      target(frame);
      return undefined;
    };
  }

  #block({ name, body }: OfKind<"block">): Execute {
    const run = this.compile(body);
    const block: Execute = (frame, output) => run(frame.inner(), output);
    this.blocks.set(name, block);
    return block;
  }
}

function writing(value: Evaluate): Execute {
  return (frame, output) => output.write(emitted(value(frame), frame.render));
}

function assigning(assign: Assign, value: Evaluate): Execute {
  return (frame) => {
    assign(value(frame), frame);
    return undefined;
  };
}

function compileAssignment({ target, value }: Assignment): Execute {
  return assigning(compileTarget(target), compileExpression(value));
}

function compileTarget(target: Target): Assign {
  switch (target.kind) {
    case "name":
      return (value, frame) => frame.store(target.name, value);
    case "member":
      return compileMember(compileExpression(target.object), target.name);
    case "tuple":
      return compileTuple(target.targets.map(compileTarget));
  }
}

function compileMember(object: Evaluate, name: string): Assign {
  return (value, frame) => {
    const namespace = object(frame);
    if (!(namespace instanceof Namespace)) throw refusal(`can only assign to namespaces, not ${kindOf(namespace)}`);
    namespace.set(name, value);
  };
}

function compileTuple(targets: readonly Assign[]): Assign {
  return (value, frame) => {
    const items = typeof value === "object" && value !== null && textOf(value) === undefined ? itemsOf(value, frame.budget) : undefined;
    if (items === undefined) throw refusal("cannot unpack: value is not iterable");
    if (items.length !== targets.length) throw refusal(`cannot unpack: expected ${targets.length} items, got ${items.length}`);
    for (const [index, assign] of targets.entries()) assign(items[index], frame);
  };
}

/** The items that a loop's `if` lets through; `loop` is not yet its own there. */
function compileCondition({ target, condition }: ForStatement): (value: Value, frame: Frame) => Value {
  if (condition === undefined) return (value) => value;
  const [assign, test] = [compileTarget(target), compileExpression(condition)];
  return (value, frame) => {
    const items = iterated(value, frame.budget);
    const inner = frame.inner(new LoopValue(items, value, { depth: 0, isVisible: false }));
    return items.filter((item) => {
      inner.forget();
      assign(item, inner);
      return isTrue(test(inner));
    });
  };
}

function captured(frame: Frame, write: (output: Output) => void): string {
  const output = new Output(frame.budget);
  write(output);
  return output.text;
}

function capturedValue(frame: Frame, run: Execute): Value {
  const text = captured(frame, (output) => void run(frame, output));
  return frame.render.escapes ? new SafeText(text) : text;
}

function escapesFor(value: Value, frame: Frame): boolean {
  const mode = textOf(value);
  if (mode === "html" || mode === "none") return mode === "html";
  if (mode !== undefined) throw refusal("invalid value to autoescape tag");
  return !(value instanceof ObjectValue) && areEqual(value, true, frame.budget);
}

function failing(message: string): never {
  throw refusal(message);
}
