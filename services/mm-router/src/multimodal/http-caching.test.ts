import { describe, expect, it } from "vitest";
import { conditionFor, reuseOf } from "./http-caching.ts";

const url = new URL("https://a.example/a.png");

describe("reuseOf", () => {
  it.each<[Record<string, string>, number | undefined, boolean]>([
    [{}, undefined, true],
    [{ "cache-control": "public" }, undefined, true],
    [{ "cache-control": "public, max-age=7" }, 7_000, true],
    [{ "cache-control": 'max-age="7"' }, 7_000, true],
    [{ "cache-control": "Max-Age = 7, immutable" }, 7_000, true],
    [{ "cache-control": "max-age=60", age: "50" }, 10_000, true],
    [{ "cache-control": "max-age=60", age: "90" }, 0, true],
    [{ "cache-control": "max-age=60", age: "-5" }, 60_000, true],
    [{ "cache-control": "max-age=0" }, 0, true],
    [{ "cache-control": "no-cache" }, 0, true],
    [{ "cache-control": "no-cache, max-age=60" }, 0, true],
    [{ "cache-control": "max-age=60, No-Store" }, 60_000, false],
    [{ "cache-control": "max-age=99999999999" }, 99_999_999_999_000, true],
    [{ "cache-control": "max-age=soon" }, undefined, true],
  ])("%j: fresh for %s ms, kept: %s", (headers, freshMs, isKept) => {
    expect(reuseOf(headers, url)).toMatchObject({ freshMs, isKept });
  });

  it("remembers what a server calls the file's version, unless that is a text", () => {
    expect(reuseOf({ etag: 'W/"a"' }, url).validators).toMatchObject({ etag: 'W/"a"', lastModified: undefined });
    expect(reuseOf({ etag: `"${"a".repeat(300)}"` }, url).validators).toBeUndefined();
    expect(reuseOf({}, url).validators).toBeUndefined();
  });
});

describe("conditionFor", () => {
  it("asks by all that is known, at the URL that told it and at no other", () => {
    const { validators } = reuseOf({ etag: '"a"', "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT" }, url);
    expect(conditionFor(url, validators)).toEqual({ "if-none-match": '"a"', "if-modified-since": "Wed, 21 Oct 2015 07:28:00 GMT" });
    expect(conditionFor(new URL("https://a.example/a.png?x"), validators)).toBeUndefined();
    expect(conditionFor(url, undefined)).toBeUndefined();
  });
});
