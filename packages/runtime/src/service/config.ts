// One description per setting; from it the parser, the help text and the redacted log line.
//
//   flag  >  environment  >  default of the schema         empty environment variable = unset
//
//   const fields = {
//     httpPort: field(port.default(8000), { flag: "http-port", env: "HTTP_PORT", help: "where HTTP is served" }),
//   };
//   parseConfig(fields, ["--http-port=81"], process.env).httpPort === 81
//
// A schema reads text, since flags and variables are text. A field without default that is not optional is required.
import { AppError } from "@mm-router/protocol";
import { z } from "zod";
import { nearestName } from "./nearest-name.ts";

export interface FieldFacts {
  /** Without the dashes; the first is the one shown. */
  readonly flag?: string | readonly string[];
  /** The first that is set wins. */
  readonly env?: string | readonly string[];
  /** Of the number, for people: `seconds`, `bytes`, `tokens`. */
  readonly unit?: string;
  readonly help: string;
  /** Never shown: not in logs, not in errors. */
  readonly secret?: boolean;
}

export interface Field<S extends z.ZodType = z.ZodType> {
  readonly schema: S;
  readonly facts: FieldFacts;
}

export type Fields = Readonly<Record<string, Field>>;
export type ConfigOf<F extends Fields> = { readonly [K in keyof F]: z.output<F[K]["schema"]> };
export type Environment = Readonly<Record<string, string | undefined>>;

export function field<S extends z.ZodType>(schema: S, facts: FieldFacts): Field<S> {
  return { schema, facts };
}

/** Integer ≥ `min`; the text must be all digits (`-` allowed). */
export const integer = (min = 0, max: number = Number.MAX_SAFE_INTEGER) =>
  z
    .string()
    .regex(/^-?\d+$/, "not an integer")
    .transform(Number)
    .pipe(z.number().int().min(min).max(max));
/** Decimal number, `1e3` allowed. */
export const decimal = (min = Number.NEGATIVE_INFINITY, max: number = Number.POSITIVE_INFINITY) =>
  z
    .string()
    .regex(/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, "not a number")
    .transform(Number)
    .pipe(z.number().min(min).max(max));
export const port = integer(0, 65_535);
/** As a flag it stands alone: `--x`, `--no-x`, `--x=false`. */
export const yesNo = z.stringbool();
/** Comma-separated; blanks around the items and empty items are dropped. */
export const textList = z.string().transform((text) =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
);

/**
 * Reads every field from argv and environment.
 *
 * @param argv arguments after the program's name, without what follows a lone `--` (`splitPassThrough`)
 * @returns a frozen object
 * @throws AppError `configuration`; one sentence per wrong setting, and for an unknown flag the nearest name
 */
export function parseConfig<F extends Fields>(fields: F, argv: readonly string[], env: Environment): ConfigOf<F> {
  const given = readFlags(fields, argv);
  const config: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [name, { schema, facts }] of Object.entries(fields)) {
    const source = given.get(name) ?? fromEnvironment(facts, env);
    const result = schema.safeParse(source?.text);
    if (result.success) config[name] = result.data;
    else problems.push(problemOf(facts, source, result.error));
  }
  if (problems.length > 0) throw new AppError("configuration", problems.join("; "));
  return Object.freeze(config) as ConfigOf<F>;
}

/** Parts argv at the first lone `--`: what comes after belongs to somebody else's command line. */
export function splitPassThrough(argv: readonly string[]): { own: readonly string[]; passThrough: readonly string[] } {
  const at = argv.indexOf("--");
  return at < 0 ? { own: argv, passThrough: [] } : { own: argv.slice(0, at), passThrough: argv.slice(at + 1) };
}

/** The config as it may be logged: secrets and passwords inside URLs replaced, absent members left out. */
export function loggableConfig<F extends Fields>(fields: F, config: ConfigOf<F>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, { facts }] of Object.entries(fields)) {
    const value = config[name];
    if (value !== undefined) shown[name] = facts.secret === true ? "[redacted]" : value;
  }
  return shown;
}

/** What `--help` prints: per field the flag, its environment variable, unit, default, and what it is for. */
export function helpText(usage: string, fields: Fields): string {
  const entries = Object.values(fields).map(({ schema, facts }) => {
    const head = [listOf(facts.flag).map((flag) => `--${flag}`), listOf(facts.env)].flat().join(", ");
    const initial = defaultOf(schema);
    const notes = [facts.unit, initial === undefined ? undefined : `default ${initial}`, isRequired(schema) ? "required" : undefined];
    const note = notes.filter((text) => text !== undefined).join(", ");
    return `  ${head}\n      ${facts.help}${note === "" ? "" : ` (${note})`}`;
  });
  return `Usage: ${usage}\n\nFlag over environment over default.\n\n${entries.join("\n")}\n`;
}

interface Source {
  /** How the user wrote it: `--http-port` or `HTTP_PORT`. */
  readonly name: string;
  readonly text: string;
}

function readFlags(fields: Fields, argv: readonly string[]): Map<string, Source> {
  const flags = flagTable(fields);
  const given = new Map<string, Source>();
  for (let at = 0; at < argv.length; at++) {
    const argument = argv[at]!;
    if (!argument.startsWith("--")) throw new AppError("configuration", `unexpected argument "${argument}"`);
    const equals = argument.indexOf("=");
    const written = equals < 0 ? argument : argument.slice(0, equals);
    const flag = flags.get(written);
    if (flag === undefined) throw unknownFlag(written, flags.keys());
    if (equals >= 0) {
      if (flag.alone === "false") throw new AppError("configuration", `${written} takes no value`);
      given.set(flag.field, { name: written, text: argument.slice(equals + 1) });
    } else if (flag.alone !== undefined) {
      given.set(flag.field, { name: written, text: flag.alone });
    } else {
      const text = argv[++at];
      if (text === undefined) throw new AppError("configuration", `${written} needs a value`);
      given.set(flag.field, { name: written, text });
    }
  }
  return given;
}

interface Flag {
  readonly field: string;
  /** What the flag means when no value follows; undefined = a value must follow. */
  readonly alone?: "true" | "false";
}

function flagTable(fields: Fields): Map<string, Flag> {
  const table = new Map<string, Flag>();
  for (const [name, { schema, facts }] of Object.entries(fields)) {
    const alone = isYesNo(schema);
    for (const flag of listOf(facts.flag)) {
      table.set(`--${flag}`, alone ? { field: name, alone: "true" } : { field: name });
      if (alone) table.set(`--no-${flag}`, { field: name, alone: "false" });
    }
  }
  return table;
}

function unknownFlag(written: string, known: Iterable<string>): AppError {
  const nearest = nearestName(written, known);
  return new AppError("configuration", `unknown flag ${written}${nearest === undefined ? "; see --help" : `, did you mean ${nearest}?`}`);
}

function fromEnvironment(facts: FieldFacts, env: Environment): Source | undefined {
  for (const name of listOf(facts.env)) {
    const text = env[name];
    if (text !== undefined && text !== "") return { name, text };
  }
  return undefined;
}

function problemOf(facts: FieldFacts, source: Source | undefined, error: z.ZodError): string {
  const reason = error.issues.map((issue) => issue.message).join(", ");
  if (source !== undefined) return `${source.name}${facts.secret === true ? "" : `="${source.text}"`}: ${reason}`;
  const ways = [listOf(facts.flag).map((flag) => `--${flag}`), listOf(facts.env)].flat();
  return `${ways.join(" or ")} is required (${facts.help})`;
}

function listOf(names: string | readonly string[] | undefined): readonly string[] {
  if (names === undefined) return [];
  return typeof names === "string" ? [names] : names;
}

function isYesNo(schema: z.ZodType): boolean {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional) return isYesNo(schema.unwrap() as z.ZodType);
  return schema instanceof z.ZodPipe && schema.out instanceof z.ZodBoolean;
}

function isRequired(schema: z.ZodType): boolean {
  return !schema.safeParse(undefined).success;
}

function defaultOf(schema: z.ZodType): string | undefined {
  const result = schema.safeParse(undefined);
  if (!result.success || result.data === undefined) return undefined;
  return Array.isArray(result.data) ? result.data.join(",") : `${result.data as string | number | boolean}`;
}
