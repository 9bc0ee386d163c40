// Expressions → functions of a frame. Compiled once per template, run for every prompt.
//
// Source: minijinja 2.24 compiler/codegen.rs, vm/mod.rs: an attribute of undefined is an error, of anything else
// undefined; unknown filters and tests fail when they are reached, not before.
import type { Argument, Expression, Use } from "./ast.ts";
import { refusal } from "./budget.ts";
import { Frame } from "./frame.ts";
import { callFunction } from "./functions.ts";
import { LoopValue } from "./loop.ts";
import { MacroValue } from "./macro.ts";
import { callPythonMethod } from "./methods.ts";
import { arithmetic, compared, concatenated, negated, sliced } from "./operators.ts";
import type { Operation } from "./render.ts";
import {
  absent,
  attributeOf,
  entriesOf,
  isTrue,
  itemAt,
  iterated,
  KeywordArguments,
  kindOf,
  mapOf,
  memberOf,
  presentOr,
  textOf,
  type Value,
} from "./values.ts";

export type Evaluate = (frame: Frame) => Value;
type OfKind<K extends Expression["kind"]> = Extract<Expression, { kind: K }>;

export function compileExpression(expression: Expression): Evaluate {
  switch (expression.kind) {
    case "constant":
      return () => expression.value;
    case "variable":
      return (frame) => presentOr(frame.lookup(expression.name), undefined);
    case "list":
      return compileList(expression.items);
    case "map":
      return compileMap(expression);
    case "not":
      return compileNot(expression.operand);
    case "negate":
      return compileNegation(expression.operand);
    case "binary":
      return compileBinary(expression);
    case "comparison":
      return compileComparison(expression);
    case "conditional":
      return compileConditional(expression);
    case "attribute":
      return compileAttribute(expression);
    case "item":
      return compileItem(expression);
    case "slice":
      return compileSlice(expression);
    case "call":
      return compileCall(expression);
    case "filter":
      return compileFilter(expression);
    case "test":
      return compileTest(expression);
  }
}

function compileOptional(expression: Expression | undefined): Evaluate {
  return expression === undefined ? () => undefined : compileExpression(expression);
}

function compileList(expressions: readonly Expression[]): Evaluate {
  const items = expressions.map(compileExpression);
  return (frame) => {
    frame.budget.spend(items.length);
    return items.map((item) => item(frame));
  };
}

function compileMap({ entries }: OfKind<"map">): Evaluate {
  const keys = entries.map(({ key }) => compileExpression(key));
  const values = entries.map(({ value }) => compileExpression(value));
  return (frame) => {
    frame.budget.spend(entries.length);
    return mapOf(
      keys.map((key) => key(frame)),
      values.map((value) => value(frame)),
    );
  };
}

function compileNot(expression: Expression): Evaluate {
  const operand = compileExpression(expression);
  return (frame) => !isTrue(operand(frame));
}

function compileNegation(expression: Expression): Evaluate {
  const operand = compileExpression(expression);
  return (frame) => negated(operand(frame));
}

function compileBinary({ operator, left, right }: OfKind<"binary">): Evaluate {
  const [first, second] = [compileExpression(left), compileExpression(right)];
  switch (operator) {
    case "and":
      return (frame) => {
        const value = first(frame);
        return isTrue(value) ? second(frame) : value;
      };
    case "or":
      return (frame) => {
        const value = first(frame);
        return isTrue(value) ? value : second(frame);
      };
    case "~":
      return (frame) => concatenated(first(frame), second(frame), frame.budget);
    default:
      return (frame) => arithmetic(operator, first(frame), second(frame), frame.budget);
  }
}

/** `a < b < c`: each operand once, and only as far as the parts hold. */
function compileComparison({ first, rest }: OfKind<"comparison">): Evaluate {
  const start = compileExpression(first);
  const parts = rest.map(({ operator, operand }) => ({ operator, operand: compileExpression(operand) }));
  return (frame) => {
    let left = start(frame);
    for (const { operator, operand } of parts) {
      const right = operand(frame);
      if (!compared(operator, left, right, frame.budget)) return false;
      left = right;
    }
    return true;
  };
}

function compileConditional({ test, yes, no }: OfKind<"conditional">): Evaluate {
  const [condition, then, otherwise] = [compileExpression(test), compileExpression(yes), compileOptional(no)];
  return (frame) => (isTrue(condition(frame)) ? then(frame) : otherwise(frame));
}

function compileAttribute({ object, name }: OfKind<"attribute">): Evaluate {
  const value = compileExpression(object);
  return (frame) => attributeOf(value(frame), name);
}

function compileItem({ object, key }: OfKind<"item">): Evaluate {
  const [value, index] = [compileExpression(object), compileExpression(key)];
  return (frame) => itemAt(value(frame), index(frame));
}

function compileSlice({ object, bounds }: OfKind<"slice">): Evaluate {
  const value = compileExpression(object);
  const [start, stop, step] = [compileOptional(bounds[0]), compileOptional(bounds[1]), compileOptional(bounds[2])];
  return (frame) => sliced(value(frame), start(frame), stop(frame), step(frame), frame.budget);
}

function compileFilter({ operand, use }: OfKind<"filter" | "test">): Evaluate {
  const [value, apply] = [compileExpression(operand), compileFilterUse(use)];
  return (frame) => apply(value(frame), frame);
}

export function compileFilterUse({ name, arguments: given }: Use): (operand: Value, frame: Frame) => Value {
  const values = compileArguments(given);
  return (operand, frame) => operation(frame.render.filters, "filter", name)([operand, ...values(frame)], frame.render);
}

function compileTest({ operand, use }: OfKind<"filter" | "test">): Evaluate {
  const [value, values] = [compileExpression(operand), compileArguments(use.arguments)];
  return (frame) => isTrue(operation(frame.render.tests, "test", use.name)([value(frame), ...values(frame)], frame.render));
}

function operation(operations: ReadonlyMap<string, Operation>, what: string, name: string): Operation {
  const found = operations.get(name);
  if (found === undefined) throw refusal(`${what} ${name} is unknown`);
  return found;
}

/** Positional arguments in order, then the named ones as one value. */
export function compileArguments(given: readonly Argument[]): (frame: Frame, caller?: MacroValue) => Value[] {
  const positional = given.filter(({ kind }) => kind === "positional" || kind === "splat").map(compileArgument);
  const named = given.filter(({ kind }) => kind === "keyword" || kind === "keyword-splat").map(compileKeywords);
  return (frame, caller) => {
    frame.budget.spend();
    const values = positional.flatMap((argument) => argument(frame));
    if (named.length === 0 && caller === undefined) return values;
    const entries = named.flatMap((keyword) => keyword(frame));
    if (caller !== undefined) entries.push(["caller", caller]);
    values.push(new KeywordArguments(new Map(entries)));
    return values;
  };
}

function compileArgument({ kind, value }: Argument): (frame: Frame) => readonly Value[] {
  const evaluate = compileExpression(value);
  return kind === "splat" ? (frame) => iterated(evaluate(frame), frame.budget) : (frame) => [evaluate(frame)];
}

function compileKeywords(argument: Argument): (frame: Frame) => [string, Value][] {
  const evaluate = compileExpression(argument.value);
  if (argument.kind === "keyword") return (frame) => [[argument.name, evaluate(frame)]];
  return (frame) => {
    const value = evaluate(frame);
    const entries = entriesOf(value);
    if (entries === undefined) throw refusal(`attempted to apply keyword arguments from non map (got ${kindOf(value)})`);
    return entries.map(([key, member]) => [textOf(key) ?? "", member]);
  };
}

/** @returns a call that can also hand over the body of a `{% call %}` block */
export function compileCall({ callee, arguments: given }: OfKind<"call">): (frame: Frame, caller?: MacroValue) => Value {
  const values = compileArguments(given);
  if (callee.kind === "variable") return (frame, caller) => callNamed(callee.name, values(frame, caller), frame);
  if (callee.kind === "attribute") {
    const object = compileExpression(callee.object);
    const isBlock = callee.object.kind === "variable" && callee.object.name === "self";
    if (isBlock) return (frame) => frame.render.block(callee.name, frame);
    return (frame, caller) => callMethod(object(frame), callee.name, values(frame, caller), frame);
  }
  const target = compileExpression(callee);
  return (frame, caller) => callValue(target(frame), values(frame, caller), frame);
}

function callNamed(name: string, values: readonly Value[], frame: Frame): Value {
  const target = frame.lookup(name);
  if (target === absent) throw refusal(`${name} is unknown`);
  if (!(target instanceof LoopValue)) return callValue(target, values, frame);
  if (values.length !== 1) throw refusal("loop() takes one argument");
  if (target.recurse === undefined) throw refusal("cannot recurse outside of recursive loop");
  return target.recurse(values[0], frame);
}

function callValue(target: Value, values: readonly Value[], frame: Frame): Value {
  return target instanceof MacroValue ? target.call(values, frame) : callFunction(target, values, frame.render);
}

function callMethod(value: Value, name: string, values: readonly Value[], frame: Frame): Value {
  if (value instanceof LoopValue) {
    const result = value.callMethod(name, values, frame.budget);
    if (result !== absent) return result;
  }
  const result = callPythonMethod(value, name, values, frame.budget);
  if (result !== absent) return result;
  const member = memberOf(value, name);
  if (member === absent) throw refusal(`${kindOf(value)} has no method named ${name}`);
  return callValue(member, values, frame);
}
