// Expressions, by precedence from loose to tight:
//
//   a if b else c · or · and · not · == != < > in · + - · ~ · * / // % · ** · unary - · x.y x[y] x(y) · x|f  x is t
//
// Source: minijinja 2.24 compiler/parser.rs. Unlike Python: `~` binds tighter than `+`, `-2 ** 2` is 4, `**` groups
// to the left, filters and tests bind tighter than all operators. `x.items()` is read as `x|items`, so that a map
// with a key `items` works (Dynamo ≥ 1.4).
import type { Argument, BinaryOperator, ComparisonPart, Expression, MapEntry, Use } from "./ast.ts";
import { folded } from "./constant-folding.ts";
import type { Token } from "./lexer.ts";
import { float } from "./numbers.ts";
import type { ComparisonOperator } from "./operators.ts";
import type { TokenStream } from "./token-stream.ts";

const argumentsMax = 2000;

export class ExpressionParser {
  readonly #tokens: TokenStream;

  constructor(tokens: TokenStream) {
    this.#tokens = tokens;
  }

  expression(): Expression {
    return this.#tokens.nested(() => this.#conditional());
  }

  /** As `for` and `if` take it: a following `if` is theirs. */
  withoutCondition(): Expression {
    return this.#disjunction();
  }

  #conditional(): Expression {
    let expression = this.#disjunction();
    while (this.#tokens.skipName("if")) {
      const test = this.#disjunction();
      const no = this.#tokens.skipName("else") ? this.#tokens.nested(() => this.#conditional()) : undefined;
      expression = { kind: "conditional", test, yes: expression, ...(no === undefined ? {} : { no }) };
    }
    return expression;
  }

  #disjunction(): Expression {
    return this.#leftToRight(
      () => (this.#tokens.skipName("or") ? "or" : undefined),
      () => this.#conjunction(),
    );
  }

  #conjunction(): Expression {
    return this.#leftToRight(
      () => (this.#tokens.skipName("and") ? "and" : undefined),
      () => this.#negation(),
    );
  }

  #leftToRight(operator: () => BinaryOperator | undefined, operand: () => Expression): Expression {
    let left = operand();
    for (let found = operator(); found !== undefined; found = operator()) {
      left = folded({ kind: "binary", operator: found, left, right: operand() });
    }
    return left;
  }

  #symbol<T extends string>(...symbols: readonly T[]): T | undefined {
    return symbols.find((symbol) => this.#tokens.skipSymbol(symbol));
  }

  #negation(): Expression {
    if (!this.#tokens.skipName("not")) return this.#comparison();
    return this.#tokens.nested(() => folded({ kind: "not", operand: this.#negation() }));
  }

  #comparison(): Expression {
    const first = this.#sum();
    const rest: ComparisonPart[] = [];
    for (let operator = this.#comparisonOperator(); operator !== undefined; operator = this.#comparisonOperator()) {
      rest.push({ operator, operand: this.#sum() });
    }
    return rest.length === 0 ? first : folded({ kind: "comparison", first, rest });
  }

  #comparisonOperator(): ComparisonOperator | undefined {
    if (this.#tokens.skipName("in")) return "in";
    if (this.#tokens.skipName("not")) {
      this.#tokens.expectName("in");
      return "not in";
    }
    return this.#symbol("==", "!=", "<=", ">=", "<", ">");
  }

  #sum(): Expression {
    return this.#leftToRight(
      () => this.#symbol("+", "-"),
      () => this.#concatenation(),
    );
  }

  #concatenation(): Expression {
    return this.#leftToRight(
      () => this.#symbol("~"),
      () => this.#product(),
    );
  }

  #product(): Expression {
    return this.#leftToRight(
      () => this.#symbol("*", "/", "//", "%"),
      () => this.#power(),
    );
  }

  #power(): Expression {
    return this.#leftToRight(
      () => this.#symbol("**"),
      () => this.#unary(),
    );
  }

  #unary(): Expression {
    return this.#filtersAndTests(this.#postfix(this.#minus()));
  }

  #minus(): Expression {
    if (!this.#tokens.skipSymbol("-")) return this.#primary();
    return this.#tokens.nested(() => folded({ kind: "negate", operand: this.#minus() }));
  }

  #postfix(start: Expression): Expression {
    let expression = start;
    for (;;) {
      if (this.#tokens.skipSymbol(".")) expression = this.#attribute(expression);
      else if (this.#tokens.skipSymbol("[")) expression = this.#subscript(expression);
      else if (this.#tokens.isSymbol("(")) expression = called(expression, this.#arguments());
      else return expression;
    }
  }

  #attribute(object: Expression): Expression {
    const token = this.#tokens.take("identifier or integer");
    if (token.kind === "name") return { kind: "attribute", object, name: token.text };
    if (token.kind !== "integer") this.#tokens.fail(`unexpected \`${token.text}\`, expected identifier or integer`);
    return { kind: "item", object, key: { kind: "constant", value: Number(token.number) } };
  }

  #subscript(object: Expression): Expression {
    const bounds: (Expression | undefined)[] = [this.#bound()];
    while (bounds.length < 3 && this.#tokens.skipSymbol(":")) bounds.push(this.#bound());
    this.#tokens.expectSymbol("]");
    if (bounds.length > 1) return { kind: "slice", object, bounds };
    const [key] = bounds;
    return key === undefined ? this.#tokens.fail("empty subscript") : { kind: "item", object, key };
  }

  #bound(): Expression | undefined {
    return this.#tokens.isSymbol(":") || this.#tokens.isSymbol("]") ? undefined : this.expression();
  }

  #filtersAndTests(start: Expression): Expression {
    let expression = start;
    for (;;) {
      if (this.#tokens.skipSymbol("|")) expression = { kind: "filter", operand: expression, use: this.filter() };
      else if (this.#tokens.skipName("is")) expression = this.#test(expression);
      else return expression;
    }
  }

  /** A filter's name and arguments, after the `|`. */
  filter(): Use {
    const name = this.#dottedName();
    return { name, arguments: this.#tokens.isSymbol("(") ? this.#arguments() : [] };
  }

  #test(operand: Expression): Expression {
    const isNegated = this.#tokens.skipName("not");
    const test: Expression = { kind: "test", operand, use: { name: this.#dottedName(), arguments: this.#testArguments() } };
    return isNegated ? { kind: "not", operand: test } : test;
  }

  /** In brackets, or one operand without: `is divisibleby 3`. */
  #testArguments(): readonly Argument[] {
    if (this.#tokens.isSymbol("(")) return this.#arguments();
    return this.#startsOperand() ? [{ kind: "positional", value: this.#postfix(this.#minus()) }] : [];
  }

  #startsOperand(): boolean {
    const token = this.#tokens.peek();
    if (token?.kind === "name") return !["and", "or", "else", "is"].includes(token.text);
    if (token?.kind === "symbol") return ["+", "-", "[", "{"].includes(token.text);
    return token !== undefined && token.kind !== "data";
  }

  #dottedName(): string {
    let name = this.#tokens.name();
    while (this.#tokens.skipSymbol(".")) name += `.${this.#tokens.name()}`;
    return name;
  }

  #arguments(): readonly Argument[] {
    const given: Argument[] = [];
    this.#separated("(", ")", () => {
      given.push(this.#argument(given.some(({ kind }) => kind.startsWith("keyword"))));
      if (given.length > argumentsMax) this.#tokens.fail("too many arguments in function call");
    });
    return given;
  }

  #argument(afterKeyword: boolean): Argument {
    if (this.#tokens.skipSymbol("**")) return { kind: "keyword-splat", value: this.expression() };
    if (this.#tokens.skipSymbol("*")) return { kind: "splat", value: this.expression() };
    const value = this.expression();
    if (value.kind === "variable" && this.#tokens.skipSymbol("=")) return { kind: "keyword", name: value.name, value: this.expression() };
    if (afterKeyword) this.#tokens.fail("non-keyword arg after keyword arg");
    return { kind: "positional", value };
  }

  /** `open part, part, close`, a comma at the end allowed. */
  #separated(open: string, close: string, part: () => void): void {
    this.#tokens.expectSymbol(open);
    for (let isFirst = true; !this.#tokens.skipSymbol(close); isFirst = false) {
      if (!isFirst) {
        this.#tokens.expectSymbol(",");
        if (this.#tokens.skipSymbol(close)) return;
      }
      part();
    }
  }

  #primary(): Expression {
    return this.#tokens.nested(() => this.#literalOrVariable());
  }

  #literalOrVariable(): Expression {
    if (this.#tokens.isSymbol("[")) return this.#list();
    if (this.#tokens.isSymbol("{")) return this.#map();
    if (this.#tokens.isSymbol("(")) return this.#tupleOrGroup();
    const token = this.#tokens.peek();
    if (token === undefined || token.kind === "symbol" || token.kind === "data") this.#tokens.unexpected("expression");
    this.#tokens.take("expression");
    switch (token.kind) {
      case "name":
        return constants[token.text] ?? { kind: "variable", name: token.text };
      case "text":
        return { kind: "constant", value: token.text + this.#adjacentTexts() };
      default:
        return numberConstant(token);
    }
  }

  /** 'a' 'b' is 'ab'. */
  #adjacentTexts(): string {
    let text = "";
    while (this.#tokens.peek()?.kind === "text") text += this.#tokens.take("string").text;
    return text;
  }

  #list(): Expression {
    const items: Expression[] = [];
    this.#separated("[", "]", () => items.push(this.expression()));
    return folded({ kind: "list", items });
  }

  #map(): Expression {
    const entries: MapEntry[] = [];
    this.#separated("{", "}", () => {
      const key = this.expression();
      this.#tokens.expectSymbol(":");
      entries.push({ key, value: this.expression() });
    });
    return folded({ kind: "map", entries });
  }

  #tupleOrGroup(): Expression {
    const items: Expression[] = [];
    let isTuple = false;
    this.#tokens.expectSymbol("(");
    while (!this.#tokens.isSymbol(")")) {
      items.push(this.expression());
      if (!this.#tokens.skipSymbol(",")) break;
      isTuple = true;
    }
    this.#tokens.expectSymbol(")");
    const [only] = items;
    return isTuple || only === undefined ? folded({ kind: "list", items }) : only;
  }
}

const constants: Readonly<Record<string, Expression>> = Object.assign(Object.create(null), {
  true: { kind: "constant", value: true },
  True: { kind: "constant", value: true },
  false: { kind: "constant", value: false },
  False: { kind: "constant", value: false },
  none: { kind: "constant", value: null },
  None: { kind: "constant", value: null },
});

function called(callee: Expression, given: readonly Argument[]): Expression {
  const isItems = callee.kind === "attribute" && callee.name === "items" && given.length === 0;
  if (isItems) return { kind: "filter", operand: callee.object, use: { name: "items", arguments: [] } };
  return { kind: "call", callee, arguments: given };
}

function numberConstant(token: Token): Expression {
  if (token.kind === "float") return { kind: "constant", value: float(Number(token.number)) };
  const narrow = Number(token.number);
  return { kind: "constant", value: Number.isSafeInteger(narrow) ? narrow : BigInt(token.text) };
}
