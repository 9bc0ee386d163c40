// Reading members of decoded JSON or MessagePack maps; whatever does not fit is a `protocol_error` that names the member.
import { AppError } from "../errors.ts";

export type WireRecord = Readonly<Record<string, unknown>>;

export function recordOf(value: unknown, what: string): WireRecord {
  if (typeof value !== "object" || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw new AppError("protocol_error", `${what} is not a map`);
  }
  return value as WireRecord;
}

export function listMember(record: WireRecord, name: string): readonly unknown[] {
  const value = record[name];
  if (!Array.isArray(value)) throw new AppError("protocol_error", `${name} is not a list`);
  return value;
}

export function textMember(record: WireRecord, name: string): string {
  const value = record[name];
  if (typeof value !== "string") throw new AppError("protocol_error", `${name} is not text`);
  return value;
}

export function u32(value: unknown, what: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new AppError("protocol_error", `${what} is not an unsigned 32-bit integer`);
  }
  return value;
}

/** null for null and undefined, else what `read` makes of the value. */
export function optional<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === undefined || value === null ? null : read(value);
}
