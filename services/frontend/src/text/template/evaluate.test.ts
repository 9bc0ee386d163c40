import { AppError, JsonFloat, type LosslessJson, stringifyJsonLossless } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { goldenLossless, of161 } from "../../../test/support/text-fixtures.ts";
import type { RenderLimits } from "./budget.ts";
import { Template } from "./evaluate.ts";
import type { Value } from "./values.ts";

type JsonMap = Map<string, LosslessJson>;

const hi: LosslessJson = [
  new Map([
    ["role", "user"],
    ["content", "hi"],
  ]),
];

/** As a frontend asks: one user message "hi". */
function context(kwargs: Iterable<readonly [string, Value]> = []): Map<string, Value> {
  const names: [string, Value][] = [
    ["messages", hi],
    ["tools", null],
    ["bos_token", "<s>"],
    ["eos_token", "</s>"],
    ["unk_token", null],
    ["add_generation_prompt", true],
  ];
  return new Map([...names, ...kwargs]);
}

const render = (source: string, kwargs?: Readonly<Record<string, Value>>, limits?: RenderLimits) =>
  Template.parse(source).render(context(Object.entries(kwargs ?? {})), limits);

/** The prompt; undefined when the template is refused. */
function promptOf(source: string, kwargs: LosslessJson | undefined): string | undefined {
  try {
    return Template.parse(source).render(context((kwargs ?? new Map()) as JsonMap));
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

describe("templates of one feature each", () => {
  const features = goldenLossless<JsonMap>("text/template.json").get("features") as JsonMap[];
  const named = features.map((feature) => ({ name: feature.get("name") as string, feature }));

  it.each(named)("$name prints what 1.6.1 prints", ({ feature }) => {
    const theirs = of161(feature as Map<string, JsonMap>)!.get("prompt");
    expect(promptOf(feature.get("template") as string, feature.get("chat_template_kwargs"))).toBe(theirs);
  });
});

describe("expressions that were asked of a running 1.6.1", () => {
  const snippets = goldenLossless<JsonMap>("text/template-live.json").get("snippets") as JsonMap[];
  // There, what is no list may be chained and is found out when it is printed; nobody escapes as JSON; time went on.
  const known = snippets.filter((snippet) => !/\|chain|autoescape 'json'|strftime_now/.test(snippet.get("template") as string));

  it("give its text, and are refused where it refused them", () => {
    const differing = known.flatMap((snippet) => {
      const ours = promptOf(snippet.get("template") as string, snippet.get("kwargs"));
      return ours === (snippet.get("prompt") ?? undefined) ? [] : [{ snippet: stringifyJsonLossless(snippet), ours }];
    });
    expect(differing).toEqual([]);
    expect(known.length).toBeGreaterThan(5_500);
  });
});

describe("white space around tags", () => {
  it.each([
    ["a\n{% if true %}\nb\n{% endif %}\nc", "a\nb\nc"],
    ["a\n  {% if true %}  \nb\n  {% endif %}\nc\n", "a\n  \nb\nc"],
    ["a  {%- if true -%}  b  {%- endif -%}  c", "abc"],
    ["a\n  {{- 'x' -}}\n  b", "axb"],
    ["  {# comment #}\nx", "x"],
    ["  {%+ if true %}x{% endif %}", "  x"],
    ["{% raw %}{{ no }}{% endraw %}", "{{ no }}"],
    ["x\n", "x"],
    ["x\n\n", "x\n"],
    ["x\r\n", "x"],
  ])("%j is %j", (source, prompt) => {
    expect(render(source)).toBe(prompt);
  });
});

describe("numbers", () => {
  it("keep the notation of the client's JSON", () => {
    expect(render("{{ a }} {{ b }} {{ c }}", { a: new JsonFloat(1, "1.0"), b: 1, c: 12_345_678_901_234_567_890n })).toBe(
      "1.0 1 12345678901234567890",
    );
  });

  it("are refused where minijinja refuses them", () => {
    expect(() => render("{{ 1 / 0 }}{{ 1 // 0 }}")).toThrow(AppError);
    expect(() => render("{{ 2 ** 128 }}")).toThrow(AppError);
  });
});

describe("errors of a template", () => {
  it("carry the template's own message", () => {
    expect(() => render("{{ raise_exception('Only user and assistant roles!') }}")).toThrow(
      expect.objectContaining({ code: "invalid_request", message: expect.stringContaining("Only user and assistant roles!") }),
    );
  });

  it.each([
    "{% if %}",
    "{{ x",
    "{% endfor %}",
    "{% for x %}{% endfor %}",
    "{{ 'x }}",
    "{% unknown %}",
    "{{ x|nofilter }}",
    "{% if x is notest %}{% endif %}",
  ])("%j names the fault, at load or when it is reached", (source) => {
    expect(() => render(source)).toThrow(AppError);
  });

  it("say on which line", () => {
    expect(() => Template.parse("a\nb {{ x y }}")).toThrow(/line 2/);
  });
});

describe("hostile templates", () => {
  const small: RenderLimits = { stepsMax: 100_000, textMax: 100_000, depthMax: 100 };
  const doubling = "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}";
  const doublingList = doubling.replace("'ab'", "[1, 2]").replace("ns.x ~ ns.x", "ns.x + ns.x");
  const nestedList = "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}";

  it.each([
    [
      "loops in loops",
      "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
    ],
    ["text that doubles", doubling],
    ["text that doubles by +", doubling.replace("~", "+")],
    ["a list that doubles", doublingList],
    ["a repeated text", "{{ 'x' * 1000000000 }}"],
    ["a repeated text of repeated texts", "{{ ('x' * 1000) * 1000 * 1000 }}"],
    ["a repeated list", "{{ [1] * 1000000000 }}"],
    ["a long range", "{{ range(1000000000)|list }}"],
    ["a wide column", "{{ '%1000000000d' % 1 }}"],
    ["a wide column by format", "{{ '{:1000000000}'.format(1) }}"],
    ["many decimals", "{{ '%.1000000000f' % 1.5 }}"],
    ["centred text", "{{ 'x'|center(1000000000) }}"],
    ["text filled by a method", "{{ 'x'.ljust(1000000000) }}{{ 'x'.zfill(1000000000) }}"],
    ["indented text", "{{ ('a\n' * 1000)|indent(100000) }}"],
    ["a replacement that grows", "{{ ('a' * 1000)|replace('a', 'b' * 1000) }}"],
    ["a join that grows", "{{ range(1000)|join('x' * 1000) }}"],
    ["a macro that calls itself", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"],
    ["a loop that calls itself", "{% for x in [[[]]] recursive %}{{ loop([[1]]) }}{% endfor %}".replace("[[1]]", "[x]")],
    ["a deep list printed", `${nestedList}{{ ns.x }}`],
    ["a deep list as JSON", `${nestedList}{{ ns.x|tojson }}`],
    [
      "deep lists compared",
      `${nestedList}{% set a = ns.x %}${nestedList.replace("set ns =", "set ms =").replaceAll("ns.x", "ms.x")}{{ a == ms.x }}`,
    ],
    ["JSON with much indentation", "{{ [[[[1]]]]|tojson(indent=1000000000) }}"],
    ["batches of fillings", "{{ [1]|batch(1000000000, 'x')|list }}"],
    ["slices of nothing", "{{ []|slice(1000000000)|list }}"],
    ["a big power", "{{ 9999999 ** 9999999 }}"],
    ["tabs expanded", "{{ 'a\tb'.expandtabs(1000000000) }}"],
  ])("%s: refused, quickly", (_, source) => {
    const start = performance.now();
    expect(() => render(source, {}, small)).toThrow(AppError);
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  const readings = [
    ...["upper", "lower", "title", "capitalize", "trim", "escape", "urlencode", "length", "reverse", "tojson", "indent", "lines", "list"],
    ...["unique|list", "sort|list", "replace('y', '')", "split('y')", "split('')", "pprint", "batch(2)|list", "groupby('z')", "min"],
  ].map((filter) => `s|${filter}`);
  const callings = [
    ...["strip()", "lstrip('y')", "rstrip()", "split('y')", "split()", "splitlines()", "replace('y', 'z')", "find('y')", "rfind('y')"],
    ...[
      "count('y')",
      "count('')",
      "startswith('y')",
      "upper()",
      "title()",
      "isalpha()",
      "isspace()",
      "isupper()",
      "islower()",
      "isdigit()",
    ],
  ].map((call) => `s.${call}`);
  const operating = ["s == t", "s < t", "'y' in s", "s[::2]", "s[5:]", "'%s'|format(s)", "'{}'.format(s)", "s is upper", "s is lower"];
  const nesting = ["[s]|join", "[s, s]|map('upper')|list", "[s]|string", "[s] ~ ''", "{'a': s}|tojson", "s is endingwith('y')"];

  it.each([...readings, ...callings, ...operating, ...nesting])("%s on a long text, again and again: ends at the limit", (expression) => {
    const texts = "{% set s = 'x' * 60000 %}{% set t = 'x' * 59999 ~ 'x' %}";
    const source = `${texts}{% for i in range(10000) %}{% set r = ${expression} %}{% endfor %}`;
    expect(() => render(source, {}, small)).toThrow(/steps/);
  });

  it.each([
    ["parentheses", `{{ ${"(".repeat(100_000)}1${")".repeat(100_000)} }}`],
    ["lists", `{{ ${"[".repeat(100_000)}${"]".repeat(100_000)} }}`],
    ["nots", `{{ ${"not ".repeat(100_000)}1 }}`],
    ["blocks", "{% if 1 %}".repeat(20_000) + "{% endif %}".repeat(20_000)],
  ])("deep source of %s is refused", (_, source) => {
    expect(() => Template.parse(source)).toThrow(AppError);
  });

  it.each([
    ["sums", `{{ 1${" + 1".repeat(50_000)} }}`],
    ["filters", `{{ 'x'${"|trim".repeat(50_000)} }}`],
    ["attributes", `{{ x${".y".repeat(50_000)} }}`],
    ["powers", `{{ 1${"**1".repeat(50_000)} }}`],
    ["ors", `{{ 0${" or 0".repeat(50_000)} }}`],
  ])("a long chain of %s ends", (_, source) => {
    expect(() => tried(source)).not.toThrow();
  });
});

/** Renders; an AppError is fine. */
function tried(source: string, kwargs: Readonly<Record<string, Value>> = {}): string | undefined {
  try {
    return render(source, kwargs, { stepsMax: 20_000, textMax: 20_000, depthMax: 100 });
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

describe("any source and any input", () => {
  const json = fc.jsonValue({ maxDepth: 3 }).map((value) => losslessOf(value));

  it("gives text or an AppError: arbitrary text", () => {
    const pieces = fc.oneof(
      fc.constantFrom(
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "-",
        "+",
        "\n",
        " ",
        "'",
        '"',
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "|",
        ".",
        "~",
      ),
      fc.constantFrom(
        "if",
        "else",
        "elif",
        "endif",
        "for",
        "in",
        "endfor",
        "set",
        "endset",
        "macro",
        "endmacro",
        "call",
        "filter",
        "raw",
        "x",
        "is",
      ),
      fc.constantFrom(
        "not",
        "and",
        "or",
        "1",
        "2.5",
        "'a'",
        "loop",
        "messages",
        "recursive",
        "break",
        "continue",
        "do",
        "with",
        "block",
        "=",
        "==",
        "*",
      ),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 25 }), (source) => void tried(source.join(" "))),
      { numRuns: 3_000 },
    );
  });

  it("gives text or an AppError: every filter, test and method on every kind of value", () => {
    const filters = [
      "abs",
      "batch",
      "capitalize",
      "center",
      "default",
      "dictsort",
      "escape",
      "first",
      "float",
      "format",
      "groupby",
      "indent",
      "int",
    ];
    const more = [
      "items",
      "join",
      "last",
      "length",
      "list",
      "lower",
      "map",
      "max",
      "min",
      "pprint",
      "reject",
      "rejectattr",
      "replace",
      "reverse",
    ];
    const rest = [
      "round",
      "safe",
      "select",
      "selectattr",
      "slice",
      "sort",
      "split",
      "string",
      "sum",
      "title",
      "tojson",
      "trim",
      "unique",
      "upper",
    ];
    const methods = [
      "get",
      "items",
      "keys",
      "values",
      "split",
      "strip",
      "replace",
      "startswith",
      "format",
      "join",
      "count",
      "find",
      "upper",
      "zfill",
    ];
    const testNames = [
      "defined",
      "none",
      "string",
      "number",
      "mapping",
      "sequence",
      "iterable",
      "divisibleby",
      "eq",
      "in",
      "odd",
      "sameas",
    ];
    const argument = fc.constantFrom("", "()", "(x)", "(1)", "('a')", "(x, y)", "(1, 'b')", "(attribute='a')", "(x, y, 3)");
    const operation = fc.oneof(
      fc.tuple(fc.constantFrom(...filters, ...more, ...rest), argument).map(([name, given]) => `x|${name}${given}`),
      fc.tuple(fc.constantFrom(...methods), argument).map(([name, given]) => `x.${name}${given || "()"}`),
      fc.tuple(fc.constantFrom(...testNames), argument).map(([name, given]) => `x is ${name}${given}`),
      fc.constantFrom("+", "-", "*", "/", "//", "%", "**", "~", "<", "==", "in", "and").map((operator) => `x ${operator} y`),
      fc.constantFrom("x[y]", "x[1:]", "x[y:y]", "x[::-1]", "-x", "not x", "x.a.b", "x[0]", "{x: y}", "[x, y]"),
    );
    fc.assert(
      fc.property(operation, json, json, (expression, x, y) => void tried(`{{ ${expression} }}`, { x, y })),
      { numRuns: 4_000 },
    );
  });

  it("is rendered the same twice", () => {
    const template = Template.parse("{% for m in messages %}{{ loop.index }}{{ m|tojson }}{% set x = loop.last %}{% endfor %}{{ x }}");
    expect(template.render(context())).toBe(template.render(context()));
  });
});

function losslessOf(value: unknown): LosslessJson {
  if (Array.isArray(value)) return value.map(losslessOf);
  if (typeof value === "number" && !Number.isSafeInteger(value)) return new JsonFloat(value, String(value));
  if (typeof value !== "object" || value === null) return value as LosslessJson;
  return new Map(Object.entries(value).map(([key, member]) => [key, losslessOf(member)]));
}
