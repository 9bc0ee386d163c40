// Template source → statements.
//
// Source: minijinja 2.24 compiler/parser.rs with loop controls; `{% generation %}` is Dynamo 1.6.1's (a `with`).
import type { Assignment, Branch, CallExpression, ForStatement, Macro, Parameter, Statement, Target, Use } from "./ast.ts";
import { ExpressionParser } from "./expression-parser.ts";
import { tokenize } from "./lexer.ts";
import { TokenStream } from "./token-stream.ts";

const reservedNames = ["true", "True", "false", "False", "none", "None", "loop", "self"];

/** @throws AppError `configuration` naming the line, for a template that cannot be read */
export function parseTemplate(source: string): readonly Statement[] {
  const tokens = new TokenStream(tokenize(source), source);
  return new Parser(tokens).statements(() => false);
}

class Parser {
  readonly #tokens: TokenStream;
  readonly #expressions: ExpressionParser;
  readonly #blocks = new Set<string>();
  #inLoop = false;
  #inMacro = false;

  constructor(tokens: TokenStream) {
    this.#tokens = tokens;
    this.#expressions = new ExpressionParser(tokens);
  }

  /** Up to a tag whose name `ends` them, which is left to the caller; or up to the end of the source. */
  statements(ends: (name: string) => boolean): Statement[] {
    const found: Statement[] = [];
    for (let token = this.#tokens.peek(); token !== undefined; token = this.#tokens.peek()) {
      this.#tokens.take("statement");
      if (token.kind === "data") found.push({ kind: "data", text: token.text });
      else if (token.text === "{{") found.push(this.#output());
      else if (ends(this.#tokens.peek()?.text ?? "")) return found;
      else found.push(this.#tag());
    }
    return found;
  }

  #output(): Statement {
    const value = this.#expressions.expression();
    this.#tokens.expectSymbol("}}");
    return { kind: "output", value };
  }

  #tag(): Statement {
    const statement = this.#tokens.nested(() => this.#statement());
    this.#tokens.expectSymbol("%}");
    return statement;
  }

  /** A body and the name of the tag that ends it. */
  #body(...ends: readonly string[]): { body: readonly Statement[]; end: string } {
    this.#tokens.expectSymbol("%}");
    const body = this.statements((name) => ends.includes(name));
    return { body, end: this.#tokens.name(ends.join(" or ")) };
  }

  #statement(): Statement {
    const name = this.#tokens.name("block keyword");
    const parse = this.#parsers[name];
    return parse === undefined ? this.#tokens.fail(`unknown statement ${name}`) : parse();
  }

  readonly #parsers: Readonly<Record<string, () => Statement>> = Object.assign(Object.create(null), {
    for: () => this.#for(),
    if: () => this.#if(),
    set: () => this.#set(),
    with: () => this.#with(),
    generation: () => ({ kind: "with", assignments: [], body: this.#body("endgeneration").body }),
    filter: () => this.#filterBlock(),
    autoescape: () => this.#autoescape(),
    macro: () => this.#macro(),
    call: () => this.#callBlock(),
    do: () => ({ kind: "do", call: this.#call() }),
    block: () => this.#block(),
    include: () => this.#include(),
    extends: () => this.#import("extends"),
    import: () => this.#import("import"),
    from: () => this.#import("from"),
    break: () => this.#loopControl("break"),
    continue: () => this.#loopControl("continue"),
  });

  #for(): ForStatement {
    const wasInLoop = this.#inLoop;
    this.#inLoop = true;
    const target = this.#target(false);
    this.#tokens.expectName("in");
    const iterable = this.#expressions.withoutCondition();
    const condition = this.#tokens.skipName("if") ? this.#expressions.expression() : undefined;
    const isRecursive = this.#tokens.skipName("recursive");
    const { body, end } = this.#body("endfor", "else");
    const otherwise = end === "else" ? this.#body("endfor").body : [];
    this.#inLoop = wasInLoop;
    return { kind: "for", target, iterable, ...(condition === undefined ? {} : { condition }), isRecursive, body, otherwise };
  }

  #if(): Statement {
    const branches: Branch[] = [];
    for (;;) {
      const test = this.#expressions.withoutCondition();
      const { body, end } = this.#body("endif", "else", "elif");
      branches.push({ test, body });
      if (end === "else") return { kind: "if", branches, otherwise: this.#body("endif").body };
      if (end === "endif") return { kind: "if", branches, otherwise: [] };
    }
  }

  #set(): Statement {
    const target = this.#target(true);
    if (this.#tokens.isSymbol("%}") || this.#tokens.isSymbol("|")) return this.#setBlock(target);
    this.#tokens.expectSymbol("=");
    const items = [this.#expressions.expression()];
    let isTuple = false;
    while (this.#tokens.skipSymbol(",")) {
      isTuple = true;
      if (this.#tokens.isSymbol("%}")) break;
      items.push(this.#expressions.expression());
    }
    const [only] = items;
    return { kind: "set", target, value: isTuple || only === undefined ? { kind: "list", items } : only };
  }

  #setBlock(target: Target): Statement {
    const filters = this.#tokens.skipSymbol("|") ? this.#filters() : [];
    return { kind: "set-block", target, filters, body: this.#body("endset").body };
  }

  /** `a | b(1) | c` without the value in front. */
  #filters(): readonly Use[] {
    const filters = [this.#expressions.filter()];
    while (this.#tokens.skipSymbol("|")) filters.push(this.#expressions.filter());
    return filters;
  }

  #filterBlock(): Statement {
    const filters = this.#filters();
    return { kind: "filter-block", filters, body: this.#body("endfilter").body };
  }

  #with(): Statement {
    const assignments: Assignment[] = [];
    while (!this.#tokens.isSymbol("%}")) {
      if (assignments.length > 0) this.#tokens.expectSymbol(",");
      const target = this.#tokens.isSymbol("(") ? this.#target(false) : this.#assignable(false);
      this.#tokens.expectSymbol("=");
      assignments.push({ target, value: this.#expressions.expression() });
    }
    return { kind: "with", assignments, body: this.#body("endwith").body };
  }

  #autoescape(): Statement {
    const enabled = this.#expressions.expression();
    return { kind: "autoescape", enabled, body: this.#body("endautoescape").body };
  }

  #macro(): Statement {
    const name = this.#tokens.name();
    return { kind: "macro", macro: this.#macroRest(name, this.#parameters(), "endmacro") };
  }

  #callBlock(): Statement {
    const parameters = this.#tokens.isSymbol("(") ? this.#parameters() : [];
    const call = this.#call();
    return { kind: "call-block", call, caller: this.#macroRest("caller", parameters, "endcall") };
  }

  #macroRest(name: string, parameters: readonly Parameter[], end: string): Macro {
    const [wasInLoop, wasInMacro] = [this.#inLoop, this.#inMacro];
    [this.#inLoop, this.#inMacro] = [false, true];
    const start = this.#tokens.position;
    const { body } = this.#body(end);
    [this.#inLoop, this.#inMacro] = [wasInLoop, wasInMacro];
    return { name, parameters, body, usesCaller: this.#tokens.hasNameSince(start, "caller") };
  }

  #parameters(): Parameter[] {
    const parameters: Parameter[] = [];
    this.#tokens.expectSymbol("(");
    while (!this.#tokens.skipSymbol(")")) {
      if (parameters.length > 0) {
        this.#tokens.expectSymbol(",");
        if (this.#tokens.skipSymbol(")")) break;
      }
      parameters.push(this.#parameter(parameters.some(({ otherwise }) => otherwise !== undefined)));
    }
    return parameters;
  }

  #parameter(needsDefault: boolean): Parameter {
    const name = this.#assignableName();
    if (needsDefault && !this.#tokens.isSymbol("=")) this.#tokens.unexpected("`=`");
    return this.#tokens.skipSymbol("=") ? { name, otherwise: this.#expressions.expression() } : { name };
  }

  #call(): CallExpression {
    const expression = this.#expressions.expression();
    return expression.kind === "call" ? expression : this.#tokens.fail("expected call expression");
  }

  #block(): Statement {
    if (this.#inMacro) this.#tokens.fail("block tags in macros are not allowed");
    const name = this.#tokens.name();
    this.#tokens.skipName("scoped");
    this.#tokens.skipName("required");
    if (this.#blocks.has(name)) this.#tokens.fail(`block '${name}' defined twice`);
    this.#blocks.add(name);
    const wasInLoop = this.#inLoop;
    this.#inLoop = false;
    const { body } = this.#body("endblock");
    this.#inLoop = wasInLoop;
    if (!this.#tokens.isSymbol("%}")) this.#tokens.expectName(name);
    return { kind: "block", name, body };
  }

  /** A model has one template: what is included is never there. */
  #include(): Statement {
    this.#expressions.expression();
    this.#skipContext();
    const ignoresMissing = this.#tokens.skipName("ignore");
    if (ignoresMissing) {
      this.#tokens.expectName("missing");
      this.#skipContext();
    }
    return { kind: "include", ignoresMissing };
  }

  #skipContext(): void {
    if (this.#tokens.skipName("with") || this.#tokens.skipName("without")) this.#tokens.expectName("context");
  }

  /** extends, import and from are read to the end of the tag; they fail when they are reached. */
  #import(tag: string): Statement {
    while (!this.#tokens.isSymbol("%}")) this.#tokens.take("end of block");
    return { kind: "import", tag };
  }

  #loopControl(kind: "break" | "continue"): Statement {
    if (!this.#inLoop) this.#tokens.fail(`'${kind}' must be placed inside a loop`);
    return { kind };
  }

  /** @param dotted whether `ns.member` may be assigned */
  #target(dotted: boolean): Target {
    const targets: Target[] = [];
    let isTuple = false;
    while (!this.#endsTarget()) {
      targets.push(this.#tokens.isSymbol("(") ? this.#bracketedTarget(dotted) : this.#assignable(dotted));
      if (!this.#tokens.skipSymbol(",")) break;
      isTuple = true;
    }
    const [only] = targets;
    return isTuple || only === undefined ? { kind: "tuple", targets } : only;
  }

  #endsTarget(): boolean {
    return [")", "}}", "%}"].some((symbol) => this.#tokens.isSymbol(symbol)) || this.#tokens.is("name", "in");
  }

  #bracketedTarget(dotted: boolean): Target {
    this.#tokens.expectSymbol("(");
    const target = this.#tokens.nested(() => this.#target(dotted));
    this.#tokens.expectSymbol(")");
    return target;
  }

  #assignable(dotted: boolean): Target {
    let target: Target = { kind: "name", name: this.#assignableName() };
    while (dotted && this.#tokens.skipSymbol(".")) {
      target = { kind: "member", object: objectOf(target), name: this.#tokens.name() };
    }
    return target;
  }

  #assignableName(): string {
    const name = this.#tokens.name();
    if (reservedNames.includes(name)) this.#tokens.fail(`cannot assign to reserved variable name ${name}`);
    return name;
  }
}

/** `a` of `a.b = …`, `a.b` of `a.b.c = …`. */
function objectOf(target: Exclude<Target, { kind: "tuple" }>) {
  if (target.kind === "name") return { kind: "variable", name: target.name } as const;
  return { kind: "attribute", object: target.object, name: target.name } as const;
}
