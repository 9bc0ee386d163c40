// Computes expressions of constants when the template is read.
//
// Source: minijinja 2.24 compiler/ast.rs. One result differs from the one at run time and must: `a and b` of constants
// that is not true is False, not the operand. What fails to compute stays an expression and fails when it is reached.
import { AppError } from "@mm-router/protocol";
import type { Expression } from "./ast.ts";
import { Budget } from "./budget.ts";
import { arithmetic, compared, concatenated, negated } from "./operators.ts";
import { isTrue, mapOf, type Value } from "./values.ts";

/** Small: a template's constants are read once, but a hostile one must not cost much. */
const foldingLimits = { stepsMax: 10_000, textMax: 100_000, depthMax: 1 };

const notConstant = Symbol("not constant");

/** The expression, or the constant it computes to. Its parts are folded already. */
export function folded(expression: Expression): Expression {
  try {
    const value = computed(expression, new Budget(foldingLimits));
    return value === notConstant ? expression : { kind: "constant", value };
  } catch (error) {
    if (error instanceof AppError) return expression;
    throw error;
  }
}

function computed(expression: Expression, budget: Budget): Value | typeof notConstant {
  switch (expression.kind) {
    case "list":
      return constantsOf(expression.items) ?? notConstant;
    case "map":
      return foldedMap(expression);
    case "not":
    case "negate":
      return foldedUnary(expression);
    case "binary":
      return foldedBinary(expression, budget);
    case "comparison":
      return foldedComparison(expression, budget);
    default:
      return notConstant;
  }
}

function constantsOf(expressions: readonly Expression[]): Value[] | undefined {
  const values: Value[] = [];
  for (const expression of expressions) {
    if (expression.kind !== "constant") return undefined;
    values.push(expression.value);
  }
  return values;
}

function foldedMap({ entries }: Extract<Expression, { kind: "map" }>): Value | typeof notConstant {
  const keys = constantsOf(entries.map(({ key }) => key));
  const values = constantsOf(entries.map(({ value }) => value));
  return keys === undefined || values === undefined ? notConstant : mapOf(keys, values);
}

function foldedUnary({ kind, operand }: Extract<Expression, { kind: "not" | "negate" }>): Value | typeof notConstant {
  if (operand.kind !== "constant") return notConstant;
  return kind === "not" ? !isTrue(operand.value) : negated(operand.value);
}

function foldedBinary(expression: Extract<Expression, { kind: "binary" }>, budget: Budget): Value | typeof notConstant {
  const { operator, left, right } = expression;
  if (left.kind !== "constant" || right.kind !== "constant") return notConstant;
  switch (operator) {
    case "and":
      return isTrue(left.value) && isTrue(right.value) ? right.value : false;
    case "or":
      return isTrue(left.value) ? left.value : right.value;
    case "~":
      return concatenated(left.value, right.value, budget);
    default:
      return arithmetic(operator, left.value, right.value, budget);
  }
}

function foldedComparison({ first, rest }: Extract<Expression, { kind: "comparison" }>, budget: Budget): Value | typeof notConstant {
  const operands = constantsOf([first, ...rest.map(({ operand }) => operand)]);
  if (operands === undefined) return notConstant;
  return rest.every(({ operator }, index) => compared(operator, operands[index], operands[index + 1], budget));
}
