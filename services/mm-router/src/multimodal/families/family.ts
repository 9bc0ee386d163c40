// What a model family answers: how many tokens stand for an image, and which.
//
//   prompt    … <vision_start> <image_pad> <vision_end> …          one placeholder per image
//   layout    <image_pad>×66                                       what replaces the placeholder, as runs of token texts
//
// A family is built from the model's own files and nothing else: `config.json` and the fields of `preprocessor_config.json` and
// `processor_config.json`, as the classes of transformers 4.57.6 read them. Vectors: multimodal/image_tokens.json.
//
// I1  `total` is the sum of the runs' counts, ≥ 1.   I2  adjacent runs hold different tokens.
// I3  A size that the real processor refuses has no layout; `why` is a sentence for the client.
import { AppError } from "@mm-router/protocol";
import { z } from "zod";

/** Pixels as stored in the file: EXIF orientation does not swap them. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

export interface TokenRun {
  /** Text of one token of the model's vocabulary. */
  readonly token: string;
  readonly count: number;
}

export type ImageLayout =
  | { readonly kind: "tokens"; readonly runs: readonly TokenRun[]; readonly total: number }
  | { readonly kind: "refused"; readonly why: string };

export interface ImageFamily {
  /** Key of the registry's arithmetic, for logs. */
  readonly name: string;
  /** The token that the chat template writes once per image. */
  readonly placeholder: string;
  /** The token at whose positions an image's content enters; often the placeholder itself. */
  readonly imageToken: string;
  layout(size: ImageSize): ImageLayout;
}

/** Fields of a JSON file; families read what they know and ignore the rest. */
export type JsonFields = Readonly<Record<string, unknown>>;

export interface ModelFiles {
  readonly modelType: string;
  /** `config.json`. */
  readonly config: JsonFields;
  /** `preprocessor_config.json` and `processor_config.json` in one; where both have a field, the latter's. */
  readonly processor: JsonFields;
}

export type FamilyFactory = (files: ModelFiles) => ImageFamily;

/** The layout of these runs; adjacent runs of one token are joined, empty ones dropped. */
export function layoutOf(runs: Iterable<TokenRun>): ImageLayout {
  const joined: TokenRun[] = [];
  let total = 0;
  for (const run of runs) {
    if (run.count === 0) continue;
    total += run.count;
    const last = joined.at(-1);
    if (last?.token === run.token) joined[joined.length - 1] = { token: run.token, count: last.count + run.count };
    else joined.push(run);
  }
  return { kind: "tokens", runs: joined, total };
}

export function refused(why: string): ImageLayout {
  return { kind: "refused", why };
}

/** An integer ≥ 1 that a file may leave out or write as null. */
export const count = (fallback: number) => optionalCount.transform((value) => value ?? fallback);
export const optionalCount = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31)
  .nullish();
/** A number > 0 that a file may leave out or write as null. */
export const ratio = (fallback: number) =>
  z
    .number()
    .positive()
    .nullish()
    .transform((value) => value ?? fallback);
/** A switch that a file may leave out or write as null. */
export const flag = (fallback: boolean) =>
  z
    .boolean()
    .nullish()
    .transform((value) => value ?? fallback);

/** Reads the fields that a family needs. @throws AppError `configuration` naming file fields that are not as the real class takes them */
export function readFields<S extends z.ZodType>(schema: S, fields: JsonFields): z.output<S> {
  const result = schema.safeParse(fields);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new AppError("configuration", `the model's processor files: ${problems.join("; ")}`);
}
