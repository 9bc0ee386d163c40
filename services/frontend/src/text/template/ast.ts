// The parsed template.
import type { ArithmeticOperator, ComparisonOperator } from "./operators.ts";
import type { Value } from "./values.ts";

export type BinaryOperator = ArithmeticOperator | "~" | "and" | "or";

export type Expression =
  | { readonly kind: "constant"; readonly value: Value }
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "list"; readonly items: readonly Expression[] }
  | { readonly kind: "map"; readonly entries: readonly MapEntry[] }
  | { readonly kind: "not" | "negate"; readonly operand: Expression }
  | { readonly kind: "binary"; readonly operator: BinaryOperator; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "comparison"; readonly first: Expression; readonly rest: readonly ComparisonPart[] }
  | { readonly kind: "conditional"; readonly test: Expression; readonly yes: Expression; readonly no?: Expression }
  | { readonly kind: "attribute"; readonly object: Expression; readonly name: string }
  | { readonly kind: "item"; readonly object: Expression; readonly key: Expression }
  | { readonly kind: "slice"; readonly object: Expression; readonly bounds: readonly (Expression | undefined)[] }
  | { readonly kind: "call"; readonly callee: Expression; readonly arguments: readonly Argument[] }
  | { readonly kind: "filter" | "test"; readonly operand: Expression; readonly use: Use };

/** A filter or test by name, with its arguments. */
export interface Use {
  readonly name: string;
  readonly arguments: readonly Argument[];
}

export type CallExpression = Extract<Expression, { kind: "call" }>;

export interface MapEntry {
  readonly key: Expression;
  readonly value: Expression;
}

/** `< b` and `< c` of `a < b < c`. */
export interface ComparisonPart {
  readonly operator: ComparisonOperator;
  readonly operand: Expression;
}

export type Argument =
  | { readonly kind: "positional" | "splat" | "keyword-splat"; readonly value: Expression }
  | { readonly kind: "keyword"; readonly name: string; readonly value: Expression };

/** What `set`, `for` and `with` assign to. */
export type Target =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "member"; readonly object: Expression; readonly name: string }
  | { readonly kind: "tuple"; readonly targets: readonly Target[] };

export type Statement =
  | { readonly kind: "data"; readonly text: string }
  | { readonly kind: "output"; readonly value: Expression }
  | ForStatement
  | { readonly kind: "if"; readonly branches: readonly Branch[]; readonly otherwise: readonly Statement[] }
  | { readonly kind: "set"; readonly target: Target; readonly value: Expression }
  | { readonly kind: "set-block"; readonly target: Target; readonly filters: readonly Use[]; readonly body: readonly Statement[] }
  | { readonly kind: "with"; readonly assignments: readonly Assignment[]; readonly body: readonly Statement[] }
  | { readonly kind: "filter-block"; readonly filters: readonly Use[]; readonly body: readonly Statement[] }
  | { readonly kind: "autoescape"; readonly enabled: Expression; readonly body: readonly Statement[] }
  | { readonly kind: "macro"; readonly macro: Macro }
  | { readonly kind: "call-block"; readonly call: CallExpression; readonly caller: Macro }
  | { readonly kind: "do"; readonly call: CallExpression }
  | { readonly kind: "block"; readonly name: string; readonly body: readonly Statement[] }
  | { readonly kind: "include"; readonly ignoresMissing: boolean }
  | { readonly kind: "import"; readonly tag: string }
  | { readonly kind: "break" | "continue" };

export interface ForStatement {
  readonly kind: "for";
  readonly target: Target;
  readonly iterable: Expression;
  readonly condition?: Expression;
  readonly isRecursive: boolean;
  readonly body: readonly Statement[];
  readonly otherwise: readonly Statement[];
}

export interface Branch {
  readonly test: Expression;
  readonly body: readonly Statement[];
}

export interface Assignment {
  readonly target: Target;
  readonly value: Expression;
}

export interface Macro {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly body: readonly Statement[];
  /** Whether the name `caller` occurs in it. */
  readonly usesCaller: boolean;
}

export interface Parameter {
  readonly name: string;
  readonly otherwise?: Expression;
}
