// What reads one value after the other where only one form is expected (usual-event.ts). Whatever is of another form throws `NotUsual`.
import { AppError } from "../errors.ts";
import type { U64 } from "../u64.ts";

/** Made once: it says nothing but "read it the general way". */
export const NotUsual = new AppError("protocol_error", "not the usual form of a message");

/** A name or word as it stands in either encoding. */
export interface UsualName {
  readonly msgpack: Uint8Array;
  /** In quotes. */
  readonly json: Uint8Array;
}

export interface UsualCursor {
  /** Enters a map. @returns what `close` wants to know */
  open(): number;
  /** Leaves a map of so many members. */
  close(opened: number, members: number): void;
  /** The next member has this name. */
  member(name: UsualName, isFirst: boolean): void;
  /** As `member` for one that is not the first, where there may be another. */
  isMember(name: UsualName): boolean;
  isFirst(name: UsualName): boolean;
  /** Enters a list. @returns what `hasItem` wants to know */
  openList(): number;
  /** Whether another item comes after `read` ones; leaves the list otherwise. */
  hasItem(read: number, opened: number): boolean;
  u64(): U64;
  u32(): number;
  isNull(): boolean;
  word(word: UsualName): void;
  isWord(word: UsualName): boolean;
}

/** @param text fewer than 32 characters of ASCII without quotes */
export function usualName(text: string): UsualName {
  return { msgpack: Buffer.from([0xa0 | text.length, ...Buffer.from(text)]), json: Buffer.from(`"${text}"`) };
}

export function standsAt(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false;
  return true;
}
