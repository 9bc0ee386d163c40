import { readFileSync } from "node:fs";
import { contentDigest, mmHashOf } from "@mm-router/kv";
import { ImageProblem } from "@mm-router/protocol";
import { golden, goldenPath } from "@mm-router/testkit/golden";
import { afterAll, describe, expect, it } from "vitest";
import { DecodePool } from "./decode-pool.ts";
import type { Validators } from "./http-caching.ts";
import type { ImageFetcher } from "./image-fetch.ts";
import { ImageLoader, type ImageMetrics, type LoaderLimits } from "./image-loader.ts";
import { SharedImages } from "./shared-images.ts";

const { cases } = golden<{ cases: { file: string; accepted: boolean; width: number; height: number; S1_u64: string }[] }>(
  "multimodal/decode.json",
);

function fileOf(name: string): Buffer {
  return readFileSync(goldenPath(`multimodal/files/${name}`));
}

const limits: LoaderLimits = { dataUrlBytesMax: 1_000_000, bytesInFlightMax: 4_000_000, freshMs: 60_000, cacheEntriesMax: 1_000 };
const pool = new DecodePool({ pixelsMax: 1_000_000, secondsMax: 20, pixelBytesMax: 8_000_000 });
afterAll(() => pool.close());

interface Server extends ImageFetcher {
  fetched: string[];
  /** Bytes that the reader took of the last file. */
  taken: number;
}

/** Serves files by the last part of the URL, in pieces. */
function server(
  options: { pieceBytes?: number; freshMs?: number; isKept?: boolean; held?: Promise<void>; end?: ImageProblem } = {},
): Server {
  const fetched: string[] = [];
  const state: Server = {
    fetched,
    taken: 0,
    async fetch(url, sink, signal) {
      fetched.push(url);
      await options.held;
      signal.throwIfAborted();
      const bytes = fileOf(new URL(url).pathname.slice(1));
      const step = options.pieceBytes ?? bytes.length;
      state.taken = 0;
      for (let at = 0; at < bytes.length; at += step) {
        const piece = bytes.subarray(at, at + step);
        state.taken += piece.length;
        if (!sink.take(piece)) break;
      }
      if (options.end !== undefined) throw options.end;
      return { isUnchanged: false, isKept: options.isKept ?? true, freshMs: options.freshMs, validators: undefined };
    },
  };
  return state;
}

function loaderOf(fetcher: ImageFetcher, more: Partial<LoaderLimits> = {}, decoder: Pick<DecodePool, "hash"> = pool) {
  const counted: string[] = [];
  const metrics: ImageMetrics = {
    loaded: (from, outcome) => counted.push(`${from} ${outcome}`),
    decoded: (outcome) => counted.push(`decoded ${outcome}`),
  };
  const told: Readonly<Record<string, unknown>>[] = [];
  const log = { debug: (_message: string, facts: Readonly<Record<string, unknown>>) => void told.push(facts) };
  return {
    loader: new ImageLoader({ ...limits, ...more }, { fetcher, pool: decoder as DecodePool, shared: new SharedImages(), log, metrics }),
    counted,
    told,
  };
}

const signal = new AbortController().signal;
const url = "https://a.example/png_rgb.png";

describe("ImageLoader", () => {
  it("gives every accepted file its size, content hash and S1, whatever the pieces it comes in", async () => {
    for (const pieceBytes of [1, 4096]) {
      const { loader } = loaderOf(server({ pieceBytes }));
      for (const { file, width, height, S1_u64 } of cases.filter(({ accepted }) => accepted)) {
        const image = await loader.load(`https://a.example/${file}`, "pixels", signal);
        expect({ file, ...image }).toMatchObject({
          file,
          header: { width, height },
          content: mmHashOf(contentDigest(fileOf(file))),
          pixels: BigInt(S1_u64),
          problem: undefined,
        });
      }
    }
  });

  it("tells the size of every accepted file without reading its end", async () => {
    const network = server({ pieceBytes: 16 });
    const { loader } = loaderOf(network);
    for (const { file, width, height } of cases.filter(({ accepted }) => accepted)) {
      const { header, content } = await loader.load(`https://a.example/${file}`, "size", signal);
      expect({ file, width: header?.width, height: header?.height }).toEqual({ file, width, height });
      // A file that ended before its header was looked at was read to its end: then its name must be right too.
      if (content !== undefined) expect([file, content]).toEqual([file, mmHashOf(contentDigest(fileOf(file)))]);
      if (header?.format === "png" && fileOf(file).length > 64) expect([file, network.taken]).toEqual([file, 64]);
    }
  });

  it("reads a URL once while it is fresh, and again for what it did not ask before", async () => {
    const network = server();
    const { loader, counted } = loaderOf(network);
    await loader.load(url, "size", signal);
    await loader.load(url, "size", signal);
    await loader.load(url, "pixels", signal);
    await loader.load(url, "content", signal);
    expect(network.fetched).toEqual([url, url]);
    expect(counted).toEqual(["http ok", "cache ok", "decoded ok", "http ok", "cache ok"]);
  });

  it("reads a URL again that its server wants forgotten", async () => {
    const network = server({ freshMs: 0 });
    const { loader } = loaderOf(network);
    await loader.load(url, "content", signal);
    await loader.load(url, "content", signal);
    expect(network.fetched).toHaveLength(2);
  });

  it("asks the server of a stale file whether it changed, and takes what it knew when it did not", async () => {
    const shown: (Validators | undefined)[] = [];
    const validators = { of: "x", etag: '"1"' };
    const network = server();
    const changing: ImageFetcher = {
      async fetch(at, sink, given, known) {
        shown.push(known);
        if (known !== undefined) return { isUnchanged: true, isKept: true, freshMs: 0, validators };
        return { ...(await network.fetch(at, sink, given)), freshMs: 0, validators };
      },
    };
    const { loader, counted } = loaderOf(changing);
    const first = await loader.load(url, "content", signal);
    expect(await loader.load(url, "size", signal)).toBe(first);
    expect(await loader.load(url, "content", signal)).toBe(first);
    expect([shown, network.fetched.length]).toEqual([[undefined, validators, validators], 1]);
    // What is asked for now was never known: only the bytes can tell.
    await loader.load(url, "pixels", signal);
    expect([shown.at(-1), network.fetched.length]).toEqual([undefined, 2]);
    expect(counted.filter((what) => !what.startsWith("decoded"))).toEqual(["http ok", "unchanged ok", "unchanged ok", "http ok"]);
  });

  it("never keeps what its server wants kept nowhere", async () => {
    const network = server({ isKept: false });
    const { loader } = loaderOf(network);
    for (let i = 0; i < 2; i++) await loader.load(url, "content", signal);
    expect(network.fetched).toHaveLength(2);
  });

  it("decodes a file once, however it comes", async () => {
    const { loader, counted } = loaderOf(server({ freshMs: 0 }));
    const data = `data:image/png;base64,${fileOf("png_rgb.png").toString("base64")}`;
    const images = [];
    for (const source of [url, "https://b.example/png_rgb.png?x=1", data, data]) images.push(await loader.load(source, "pixels", signal));
    expect(new Set(images.map(({ pixels, content }) => `${pixels} ${content}`)).size).toBe(1);
    expect(counted).toEqual(["decoded ok", "http ok", "http ok", "data ok", "data ok"]);
  });

  it("downloads once for all who want a URL at the same time, also for less than is asked already", async () => {
    const gate = Promise.withResolvers<void>();
    const network = server({ held: gate.promise });
    const { loader } = loaderOf(network);
    const all = [loader.load(url, "pixels", signal), loader.load(url, "content", signal), loader.load(url, "size", signal)];
    gate.resolve();
    const images = await Promise.all(all);
    expect(network.fetched).toEqual([url]);
    expect(new Set(images).size).toBe(1);
  });

  it("goes on for those who stay when one leaves, and stops when the last has left", async () => {
    const gate = Promise.withResolvers<void>();
    const signals: AbortSignal[] = [];
    const network = server({ held: gate.promise });
    const watched: ImageFetcher = { fetch: (at, sink, given) => (signals.push(given), network.fetch(at, sink, given)) };
    const { loader } = loaderOf(watched);
    const [first, second] = [new AbortController(), new AbortController()];
    const loads = [loader.load(url, "content", first.signal), loader.load(url, "content", second.signal)];
    first.abort(new Error("left"));
    await expect(loads[0]).rejects.toThrow("left");
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    second.abort(new Error("left too"));
    await expect(loads[1]).rejects.toThrow("left too");
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    gate.resolve();
  });

  it("keeps the size of a file that then goes wrong", async () => {
    const { loader, counted } = loaderOf(server({ end: new ImageProblem("too-large", "endless") }));
    expect(await loader.load(url, "content", signal)).toMatchObject({
      header: { width: 17 },
      content: undefined,
      problem: "too-large",
    });
    expect(counted).toEqual(["http too-large"]);
  });

  it("tells the host and a hash of a URL that went wrong, and no more of it", async () => {
    const { loader, told } = loaderOf(server({ end: new ImageProblem("unreachable", "the image server answered 500") }));
    await loader.load("https://a.example/png_rgb.png?signature=secret", "content", signal);
    const data = "data:image/png;base64,secret";
    await loader.load(data, "content", signal);
    expect(told).toMatchObject([
      {
        reason: "unreachable",
        why: "the image server answered 500",
        source: "a.example",
        url_hash: expect.stringMatching(/^[0-9a-f]{16}$/),
      },
      { reason: "malformed-data-url", source: "data" },
    ]);
    expect(JSON.stringify(told)).not.toContain("secret");
  });

  it("says what is no image, and remembers a file that cannot be decoded", async () => {
    const network = server();
    const { loader, counted } = loaderOf(network);
    expect((await loader.load("https://a.example/gif.gif", "content", signal)).problem).toBe("unsupported-format");
    for (let i = 0; i < 2; i++) {
      const image = await loader.load("https://a.example/png_trunc.png", "pixels", signal);
      expect(image).toMatchObject({ pixels: undefined, problem: "undecodable" });
    }
    expect(counted.filter((what) => what.startsWith("decoded"))).toEqual(["decoded undecodable"]);
  });

  it("tries a file again whose decoding took too long", async () => {
    let attempts = 0;
    const slow = { hash: async () => (attempts++, Promise.reject(new ImageProblem("decode-timeout", "late"))) };
    const { loader } = loaderOf(server({ freshMs: 0 }), {}, slow);
    for (let i = 0; i < 2; i++) expect((await loader.load(url, "pixels", signal)).problem).toBe("decode-timeout");
    expect(attempts).toBe(2);
  });

  it("keeps no more bytes in flight than its budget, and gives all of them back", async () => {
    const gate = Promise.withResolvers<void>();
    const held = { hash: async () => (await gate.promise, 1n) } as unknown as DecodePool;
    const { loader } = loaderOf(server(), { bytesInFlightMax: 70_000 }, held);
    const first = loader.load("https://a.example/png_rgb.png", "pixels", signal);
    const second = await loader.load("https://a.example/jpg_444.jpg", "pixels", signal);
    expect(second.problem).toBe("busy");
    gate.resolve();
    expect((await first).problem).toBeUndefined();
    expect((await loader.load("https://a.example/jpg_444.jpg", "pixels", signal)).problem).toBeUndefined();
  });
});
