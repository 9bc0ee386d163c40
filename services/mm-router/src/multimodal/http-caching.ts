// When an answer of an image server may be used again: RFC 9111 as far as a cache of seconds needs it.
//
//   no-store             never kept
//   no-cache, max-age=0  kept; its server is asked each time whether it changed
//   max-age=n            fresh for n seconds, less its Age; nothing said: as long as the cache's own limit
//   ETag, Last-Modified  a stale one is asked for by them: 304 costs no download
import { contentDigest } from "@mm-router/kv";

/** By what a server tells whether its file changed. */
export interface Validators {
  /** `urlDigest` of the URL that gave them, which is the last of its redirects: they are shown to no other. */
  readonly of: string;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
  /** What the server said of freshness when it gave them; a 304 need not say it again. */
  readonly freshMs?: number | undefined;
}

export interface Reuse {
  /** False: never. */
  readonly isKept: boolean;
  /** Undefined where the server says nothing, 0: only after asking again. */
  readonly freshMs: number | undefined;
  readonly validators: Validators | undefined;
}

type Headers = Readonly<Record<string, string | undefined>>;

/** Longer ones are not remembered. */
const validatorCharsMax = 256;

export function reuseOf(headers: Headers, url: URL): Reuse {
  const cacheControl = headers["cache-control"] ?? "";
  const freshMs = freshMsOf(cacheControl, headers["age"]);
  const [etag, lastModified] = [shortened(headers["etag"]), shortened(headers["last-modified"])];
  const isValidated = etag !== undefined || lastModified !== undefined;
  return {
    isKept: !/\bno-store\b/i.test(cacheControl),
    freshMs,
    validators: isValidated ? { of: urlDigest(url.href), etag, lastModified, freshMs } : undefined,
  };
}

/** Headers that ask for the file only if it changed; undefined where the validators are another URL's. */
export function conditionFor(url: URL, validators: Validators | undefined): Record<string, string> | undefined {
  if (validators === undefined || validators.of !== urlDigest(url.href)) return undefined;
  const { etag, lastModified } = validators;
  return { ...(etag && { "if-none-match": etag }), ...(lastModified && { "if-modified-since": lastModified }) };
}

/** Names a URL where the URL itself must not stand: it may carry a signature. @returns 64 hex digits */
export function urlDigest(url: string): string {
  return contentDigest(Buffer.from(url)).toString("hex");
}

function freshMsOf(cacheControl: string, age: string | undefined): number | undefined {
  if (/\bno-cache\b/i.test(cacheControl)) return 0;
  const seconds = /\bmax-age\s*=\s*"?(\d+)/i.exec(cacheControl)?.[1];
  if (seconds === undefined) return undefined;
  const spent = /^\d{1,9}$/.test(age ?? "") ? Number(age) : 0;
  return Math.max(0, Number(seconds) - spent) * 1000;
}

function shortened(value: string | undefined): string | undefined {
  return value !== undefined && value.length <= validatorCharsMax ? value : undefined;
}
