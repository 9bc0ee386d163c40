// What one replica remembers and what it takes over from others, over a cache in this process.
import type { MmHash } from "@mm-router/protocol";
import type { SharedCache } from "@mm-router/runtime";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ImageHeader } from "./image-format.ts";
import { ImageMemory } from "./image-memory.ts";
import { SharedImages } from "./shared-images.ts";

const url = "https://a.example/a.png?signature=secret";
const header: ImageHeader = { format: "png", mode: "RGB", width: 17, height: 9 };
const content = 0xf0f1f2f3f4f5f6f7n as MmHash;
const pixels = 0x0001020304050607n as MmHash;
const image = { header, content, pixels: undefined, problem: undefined };
const validators = { of: "0".repeat(64), etag: '"1"', lastModified: undefined, freshMs: undefined };
const reuse = { isKept: true, freshMs: undefined, validators: undefined };

function cache(): SharedCache & { readonly values: Map<string, Uint8Array> } {
  const values = new Map<string, Uint8Array>();
  return { values, get: async (key) => values.get(key), put: (key, value) => void values.set(key, value) };
}

function replicaOf(shared: SharedCache | undefined, freshMs = 60_000): ImageMemory {
  return new ImageMemory({ freshMs, cacheEntriesMax: 8 }, new SharedImages(shared));
}

describe("ImageMemory", () => {
  it("tells other replicas what it knows, with all 64 bits, and they remember it", async () => {
    const shared = cache();
    const [first, second] = [replicaOf(shared), replicaOf(shared)];
    first.keep(url, { ...image, pixels }, { ...reuse, validators });
    expect(await second.recall(url, "pixels")).toEqual({ image: { ...image, pixels }, isFresh: true, validators });
    expect(second.fresh(url, "pixels")).toMatchObject({ content, pixels });
  });

  it("says neither the URL nor a part of it to others", () => {
    const shared = cache();
    replicaOf(shared).keep(url, image, { ...reuse, validators });
    expect(JSON.stringify([...shared.values].map(([key, value]) => [key, Buffer.from(value).toString()]))).not.toMatch(
      /example|secret|a\.png/,
    );
  });

  it("recalls only what is enough for the need", async () => {
    const shared = cache();
    replicaOf(shared).keep(url, image, reuse);
    expect(await replicaOf(shared).recall(url, "content")).toMatchObject({ isFresh: true });
    expect(await replicaOf(shared).recall(url, "pixels")).toBeUndefined();
  });

  it("completes what others tell of a file by what it knows of it", async () => {
    const shared = cache();
    replicaOf(shared).keep(url, image, reuse);
    const second = replicaOf(shared);
    second.file(header, content).pixels = pixels;
    expect(await second.recall(url, "pixels")).toMatchObject({ image: { pixels }, isFresh: true });
  });

  it("is fresh no longer than its own limit, whatever others say", async () => {
    const shared = cache();
    replicaOf(shared, 3_600_000).keep(url, image, { ...reuse, validators });
    const strict = replicaOf(shared, 0);
    expect(await strict.recall(url, "content")).toMatchObject({ isFresh: false, validators });
    expect(strict.fresh(url, "content")).toBeUndefined();
  });

  it("has a stale image only if its server can be asked about it", async () => {
    for (const [known, expected] of [
      [validators, { isFresh: false, validators }],
      [undefined, undefined],
    ] as const) {
      const memory = replicaOf(undefined);
      memory.keep(url, image, { isKept: true, freshMs: 0, validators: known });
      expect(memory.fresh(url, "size")).toBeUndefined();
      const recalled = await memory.recall(url, "size");
      if (expected === undefined) expect(recalled).toBeUndefined();
      else expect(recalled).toMatchObject(expected);
    }
  });

  it("keeps nothing, and tells nothing, of what may not be kept; and forgets what was there", async () => {
    const shared = cache();
    const memory = replicaOf(shared);
    memory.keep(url, image, { isKept: false, freshMs: 60_000, validators });
    expect([memory.fresh(url, "size"), await memory.recall(url, "size"), shared.values.size]).toEqual([undefined, undefined, 0]);
  });

  it("tells nothing of an image with a problem: it may be this replica's own", () => {
    const shared = cache();
    replicaOf(shared).keep(url, { ...image, problem: "decode-timeout" }, reuse);
    expect(shared.values.size).toBe(0);
  });
});

describe("SharedImages", () => {
  it("takes whatever others wrote that it does not understand as nothing", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((json) => Buffer.from(json)),
        ),
        async (bytes) => {
          const images = new SharedImages({ get: async () => bytes, put: () => {} });
          expect(await images.ofUrl(url)).toBeUndefined();
        },
      ),
    );
    const impossible = { header: { ...header, width: 0 }, fresh_until: 1 };
    const images = new SharedImages({ get: async () => Buffer.from(JSON.stringify(impossible)), put: () => {} });
    expect([await images.ofUrl(url), await images.pixelsOf(content)]).toEqual([undefined, undefined]);
  });

  it("gives back the pixel hash that it was told", async () => {
    const images = new SharedImages(cache());
    images.tellPixels(content, pixels);
    expect(await images.pixelsOf(content)).toBe(pixels);
    expect(await images.pixelsOf(pixels)).toBeUndefined();
  });
});
