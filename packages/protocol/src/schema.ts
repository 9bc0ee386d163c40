// Where zod meets the wire: a value that does not fit becomes an AppError that names the place.
import type { z } from "zod";
import { AppError } from "./errors.ts";

/**
 * The value in the schema's form.
 *
 * @param what names the message in the error, e.g. "instance record"
 * @throws AppError `protocol_error`, message `<what>: <path>: <reason>`
 */
export function decodeAs<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!; // zod reports at least one
  const path = issue.path.map(String).join(".");
  throw new AppError("protocol_error", `${what}: ${path === "" ? "" : `${path}: `}${issue.message}`, { cause: result.error });
}
