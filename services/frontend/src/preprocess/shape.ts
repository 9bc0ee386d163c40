// Reads typed values out of a client's JSON, and refuses what has another shape.
//
//   const part = struct("ImageUrl", { url: text }, { detail: oneOf("auto", "low", "high") });
//   decodeShape(part, parseJsonLossless(body)).url
//
// The rules are those of the serde structs in Dynamo 1.6.1: an optional member may be null, numbers do not arrive as strings,
// `5.0` is no integer, members are read in the client's order and the first fault is told. The sentence after serde's prefix is
// ours: it names the member instead of a column.
//
// I1  Values are lossless JSON: what passes through (schemas, arguments, kwargs) keeps its key order and number kinds.
import { AppError, JsonFloat, type LosslessJson } from "@mm-router/protocol";

/** Reads one value. @throws ShapeMismatch when it has another shape */
export type Decoder<T> = (value: LosslessJson) => T;

export type JsonMap = Map<string, LosslessJson>;

/** A value of another shape; `path` leads to it from the value that was read. */
export class ShapeMismatch extends Error {
  override readonly name = "ShapeMismatch";
  readonly path: (string | number)[] = [];
}

/** @throws AppError `invalid_request` in the words of a Dynamo frontend */
export function decodeShape<T>(decoder: Decoder<T>, value: LosslessJson): T {
  try {
    return decoder(value);
  } catch (error) {
    if (!(error instanceof ShapeMismatch)) throw error;
    const where = error.path.length === 0 ? "" : ` at ${pathText(error.path)}`;
    throw deserializeError(`${error.message}${where}`, error.path);
  }
}

/** The error of a body that is no JSON or has another shape. */
export function deserializeError(what: string, path: readonly (string | number)[] = []): AppError {
  return new AppError("invalid_request", `Failed to deserialize the JSON body into the target type: ${what}`, { details: { path } });
}

export const anything: Decoder<LosslessJson> = (value) => value;

export const text: Decoder<string> = (value) => (typeof value === "string" ? value : refuse(value, "a string"));

export const yesNo: Decoder<boolean> = (value) => (typeof value === "boolean" ? value : refuse(value, "a boolean"));

export const u8 = smallInteger("u8", 0, 0xff);
export const u32 = smallInteger("u32", 0, 0xffff_ffff);
export const i32 = smallInteger("i32", -0x8000_0000, 0x7fff_ffff);
export const i64 = wideInteger("i64", -(1n << 63n), (1n << 63n) - 1n);
export const u64 = wideInteger("u64", 0n, (1n << 64n) - 1n);

/** A number of any notation, rounded to the nearest f32. */
export const f32: Decoder<number> = (value) => {
  if (value instanceof JsonFloat) return Math.fround(value.value);
  if (typeof value === "number" || typeof value === "bigint") return Math.fround(Number(value));
  return refuse(value, "f32");
};

export const map: Decoder<JsonMap> = (value) => (value instanceof Map ? value : refuse(value, "a map"));

export function oneOf<T extends string>(...names: readonly T[]): Decoder<T> {
  const known = new Set<string>(names);
  return (value) => {
    if (typeof value !== "string") return refuse(value, "a string");
    if (!known.has(value)) throw unknownVariant(value, names);
    return value as T;
  };
}

export function list<T>(item: Decoder<T>): Decoder<T[]> {
  return (value) => {
    if (!Array.isArray(value)) return refuse(value, "a sequence");
    return value.map((each, index) => within(index, item, each));
  };
}

/** The first decoder that takes the value. */
export function either<T>(name: string, ...decoders: readonly Decoder<T>[]): Decoder<T> {
  return (value) => {
    for (const decoder of decoders) {
      try {
        return decoder(value);
      } catch (error) {
        if (!(error instanceof ShapeMismatch)) throw error;
      }
    }
    throw new ShapeMismatch(`data did not match any variant of ${name}`);
  };
}

/** An object whose member `tag` says which decoder reads it. */
export function tagged<T>(tag: string, variants: Readonly<Record<string, Decoder<T>>>): Decoder<T> {
  const known = new Map(Object.entries(variants));
  return (value) => {
    const members = map(value);
    const variant = members.get(tag);
    if (variant === undefined) throw new ShapeMismatch(`missing field \`${tag}\``);
    const decoder = typeof variant === "string" ? known.get(variant) : undefined;
    if (decoder !== undefined) return decoder(members);
    if (typeof variant !== "string") return within(tag, text, variant) as never;
    throw unknownVariant(variant, [...known.keys()]);
  };
}

type Decoders = Readonly<Record<string, Decoder<unknown>>>;
type Required<R extends Decoders> = { readonly [K in keyof R]: ReturnType<R[K]> };
type Optional<O extends Decoders> = { readonly [K in keyof O]?: ReturnType<O[K]> };
export type StructOf<R extends Decoders, O extends Decoders> = Required<R> & Optional<O>;

export interface StructOptions {
  /** Gets the members that the struct does not know; default: they are ignored. */
  readonly unknown?: (name: string) => void;
  /** Other names of members. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** A plain object with these members; optional ones are absent when the client left them out or wrote null. */
export function struct<R extends Decoders, O extends Decoders>(
  name: string,
  required: R,
  optional: O,
  options: StructOptions = {},
): Decoder<StructOf<R, O>> {
  const decoders = new Map<string, Decoder<unknown>>([...Object.entries(required), ...Object.entries(optional)]);
  const aliases = new Map(Object.entries(options.aliases ?? {}));
  return (value) => {
    if (!(value instanceof Map)) return refuse(value, `struct ${name}`);
    const out: Record<string, unknown> = {};
    for (const [written, member] of value) {
      const key = aliases.get(written) ?? written;
      const decoder = decoders.get(key);
      if (decoder === undefined) options.unknown?.(written);
      else if (key !== written && value.has(key)) throw new ShapeMismatch(`duplicate field \`${key}\``);
      else if (member !== null || Object.hasOwn(required, key)) out[key] = within(written, decoder, member);
    }
    for (const key of Object.keys(required)) if (!Object.hasOwn(out, key)) throw new ShapeMismatch(`missing field \`${key}\``);
    return out as StructOf<R, O>;
  };
}

export interface OrderedMapOptions extends StructOptions {
  /** Values of optional members that are absent. */
  readonly initial?: Readonly<Record<string, LosslessJson>>;
  /** Order of the members; default: as declared, required ones first. */
  readonly order?: readonly string[];
}

/** As `struct`, but gives a Map in a fixed order, as typed messages are written on. */
export function orderedMap(
  name: string,
  required: JsonDecoders,
  optional: JsonDecoders = {},
  options: OrderedMapOptions = {},
): Decoder<JsonMap> {
  const decode = struct(name, required, optional, options);
  const order = options.order ?? [...Object.keys(required), ...Object.keys(optional)];
  return (value) => {
    const members = decode(value) as Readonly<Record<string, LosslessJson | undefined>>;
    const out: JsonMap = new Map();
    for (const key of order) {
      const member = members[key] ?? options.initial?.[key];
      if (member !== undefined) out.set(key, member);
    }
    return out;
  };
}
export type JsonDecoders = Readonly<Record<string, Decoder<LosslessJson>>>;

/** Decodes a member; a mismatch inside it learns its name. */
function within<T>(key: string | number, decoder: Decoder<T>, value: LosslessJson): T {
  try {
    return decoder(value);
  } catch (error) {
    if (error instanceof ShapeMismatch) error.path.unshift(key);
    throw error;
  }
}

function smallInteger(name: string, min: number, max: number): Decoder<number> {
  return (value) => {
    if (typeof value !== "number" && typeof value !== "bigint") return refuse(value, name);
    if (value < min || value > max) throw new ShapeMismatch(`invalid value: integer \`${value}\`, expected ${name}`);
    return Number(value);
  };
}

function wideInteger(name: string, min: bigint, max: bigint): Decoder<number | bigint> {
  return (value) => {
    if (typeof value !== "number" && typeof value !== "bigint") return refuse(value, name);
    if (value < min || value > max) throw new ShapeMismatch(`invalid value: integer \`${value}\`, expected ${name}`);
    return value;
  };
}

function unknownVariant(variant: string, names: readonly string[]): ShapeMismatch {
  const expected = names.map((name) => `\`${name}\``).join(", ");
  return new ShapeMismatch(`unknown variant \`${excerpt(variant)}\`, expected ${names.length === 1 ? expected : `one of ${expected}`}`);
}

function refuse(value: LosslessJson, expected: string): never {
  throw new ShapeMismatch(`invalid type: ${kindOf(value)}, expected ${expected}`);
}

function kindOf(value: LosslessJson): string {
  if (value === null) return "null";
  if (typeof value === "string") return `string ${JSON.stringify(excerpt(value))}`;
  if (typeof value === "boolean") return `boolean \`${value}\``;
  if (value instanceof JsonFloat) return `floating point \`${value.text}\``;
  if (typeof value === "number" || typeof value === "bigint") return `integer \`${value}\``;
  return Array.isArray(value) ? "sequence" : "map";
}

/** Enough of a client's text to recognise it: an error does not repeat a picture. */
function excerpt(long: string): string {
  return long.length > 80 ? `${long.slice(0, 80)}…` : long;
}

function pathText(path: readonly (string | number)[]): string {
  return path.map((step, index) => (typeof step === "number" ? `[${step}]` : index === 0 ? step : `.${step}`)).join("");
}
