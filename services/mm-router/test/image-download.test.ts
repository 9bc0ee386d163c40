// Downloads over real sockets. The policy's verdicts are in src/multimodal/image-fetch.test.ts; here what only a server can do.
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { AppError } from "@mm-router/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { egressPolicyOf, type ImageConfig, imageConfigDefaults } from "../src/multimodal/config.ts";
import { createDownloads, type Downloads } from "../src/multimodal/downloads.ts";
import type { Validators } from "../src/multimodal/http-caching.ts";
import { createHttpTransport } from "../src/multimodal/http-transport.ts";
import type { NameResolver } from "../src/multimodal/name-resolver.ts";

type Environment = Record<string, string>;
const internal: Environment = { DYN_MM_ALLOW_INTERNAL: "1" };
const httpOnly: Environment = { MMR_FETCH_HTTP: "1" };

interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly requests: IncomingMessage[];
  /** Resolves when the n-th answer's connection is gone. */
  gone(n: number): Promise<unknown>;
}

let server: Server;
let http: TestServer;
let routes: Record<string, (request: IncomingMessage, response: ServerResponse) => void>;
const opened: Downloads[] = [];

async function listen(listener: RequestListener): Promise<{ server: Server; port: number }> {
  const listening = createServer(listener).listen(0, "127.0.0.1");
  await once(listening, "listening");
  return { server: listening, port: (listening.address() as AddressInfo).port };
}

beforeEach(async () => {
  routes = {};
  const requests: IncomingMessage[] = [];
  const ends: Promise<unknown>[] = [];
  const { server: started, port } = await listen((request, response) => {
    requests.push(request);
    ends.push(once(response, "close"));
    const route = routes[new URL(request.url ?? "/", "http://x").pathname];
    if (route === undefined) response.writeHead(404).end();
    else route(request, response);
  });
  server = started;
  http = { url: `http://127.0.0.1:${port}`, port, requests, gone: (n) => ends[n] as Promise<unknown> };
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((downloads) => downloads.close()));
  server.closeAllConnections();
  server.close();
});

function download(url: string, options: { env?: Environment; config?: Partial<ImageConfig>; resolver?: NameResolver } & FetchOptions = {}) {
  const config = { ...imageConfigDefaults, ...options.config };
  const downloads = createDownloads(config, egressPolicyOf(options.env ?? internal), options.resolver);
  opened.push(downloads);
  return fetchWith(downloads, url, options);
}

interface FetchOptions {
  signal?: AbortSignal;
  enough?: number;
  known?: Validators | undefined;
}

async function fetchWith(downloads: Downloads, url: string, options: FetchOptions = {}) {
  const pieces: Buffer[] = [];
  let taken = 0;
  const sink = {
    take(bytes: Buffer) {
      pieces.push(bytes);
      taken += bytes.length;
      return taken < (options.enough ?? Number.POSITIVE_INFINITY);
    },
  };
  const fetched = await downloads.fetcher.fetch(url, sink, options.signal ?? new AbortController().signal, options.known);
  return { ...fetched, bytes: Buffer.concat(pieces) };
}

async function reasonOf(work: Promise<unknown>): Promise<unknown> {
  const error = await work.then(
    () => "no error",
    (thrown: unknown) => thrown,
  );
  return error instanceof AppError && "reason" in error ? error.reason : error;
}

describe("a download", () => {
  it("brings the bytes, and asks for them as the workers do", async () => {
    routes["/a.png"] = (_request, response) => response.setHeader("cache-control", "public, max-age=7").end("image");
    const { bytes, freshMs } = await download(`${http.url}/a.png`);
    expect([bytes.toString(), freshMs]).toEqual(["image", 7_000]);
    expect(http.requests[0]?.headers).toMatchObject({ accept: "*/*", "accept-encoding": "identity" });
  });

  it("asks by ETag and date for what changed, and needs no bytes when nothing did", async () => {
    const lastModified = "Wed, 21 Oct 2015 07:28:00 GMT";
    const headers = { etag: '"v1"', "last-modified": lastModified, "cache-control": "max-age=5" };
    routes["/a.png"] = (request, response) => {
      if (request.headers["if-none-match"] === '"v1"') response.writeHead(304).end();
      else response.writeHead(200, headers).end("image");
    };
    const first = await download(`${http.url}/a.png`);
    expect(first).toMatchObject({ isUnchanged: false, isKept: true, freshMs: 5_000 });
    const second = await download(`${http.url}/a.png`, { known: first.validators });
    expect(http.requests[1]?.headers).toMatchObject({ "if-none-match": '"v1"', "if-modified-since": lastModified });
    expect(second).toMatchObject({ isUnchanged: true, freshMs: 5_000, validators: first.validators });
    expect(second.bytes.length).toBe(0);
  });

  it("shows a file's version to the server that gave it alone, also behind a redirect", async () => {
    routes = {
      "/moved": (_request, response) => response.writeHead(302, { location: "/a.png" }).end(),
      "/a.png": (_request, response) => response.setHeader("etag", '"v1"').end("image"),
      "/b.png": (_request, response) => response.end("another"),
    };
    const { validators } = await download(`${http.url}/moved`);
    await download(`${http.url}/moved`, { known: validators });
    await download(`${http.url}/b.png`, { known: validators });
    expect(http.requests.map(({ url: path, headers }) => [path, headers["if-none-match"]])).toEqual([
      ["/moved", undefined],
      ["/a.png", undefined],
      ["/moved", undefined],
      ["/a.png", '"v1"'],
      ["/b.png", undefined],
    ]);
  });

  it("takes a 304 that nobody asked for as no answer", async () => {
    routes["/a.png"] = (_request, response) => response.writeHead(304).end();
    const known = { of: "another URL's", etag: '"v1"' };
    expect(await reasonOf(download(`${http.url}/a.png`, { known }))).toBe("unreachable");
  });

  it("counts what a compressed body becomes", async () => {
    routes["/gzip"] = (_request, response) => response.setHeader("content-encoding", "gzip").end(gzipSync(Buffer.alloc(100_000, "x")));
    expect((await download(`${http.url}/gzip`)).bytes).toEqual(Buffer.alloc(100_000, "x"));
    expect(await reasonOf(download(`${http.url}/gzip`, { config: { downloadBytesMax: 99_999 } }))).toBe("too-large");
  });

  it("is refused to plain http and to addresses inside unless that is allowed", async () => {
    routes["/a.png"] = (_request, response) => response.end("image");
    for (const env of [{}, httpOnly]) expect(await reasonOf(download(`${http.url}/a.png`, { env }))).toBe("url-forbidden");
    expect(http.requests).toEqual([]);
  });

  it("is not led inside by a name that changes its mind between check and connection", async () => {
    let asked = 0;
    const rebinding = { resolve: async () => (asked++ === 0 ? ["93.184.216.34"] : ["127.0.0.1"]) };
    const url = `http://rebinding.example:${http.port}/a.png`;
    expect(await reasonOf(download(url, { env: httpOnly, resolver: rebinding }))).toBe("url-forbidden");
    expect([asked, http.requests]).toEqual([2, []]);
  });

  it("keeps the host's name when it dials the address", async () => {
    routes["/a.png"] = (_request, response) => response.end("image");
    const resolver = { resolve: async () => ["127.0.0.1"] };
    const url = `http://img.example:${http.port}/a.png`;
    expect((await download(url, { resolver })).bytes.toString()).toBe("image");
    expect(http.requests[0]?.headers.host).toBe(`img.example:${http.port}`);
  });

  it("follows three redirects, relative ones too, and no fourth", async () => {
    const moved = (to: string) => (_request: IncomingMessage, response: ServerResponse) => response.writeHead(302, { location: to }).end();
    routes = {
      "/3": moved(`${http.url}/2`),
      "/2": moved("1"),
      "/1": moved("/0"),
      "/0": (_request, response) => response.end("image"),
      "/4": moved("/3"),
      "/loop": moved("/loop"),
    };
    expect((await download(`${http.url}/3`)).bytes.toString()).toBe("image");
    expect(await reasonOf(download(`${http.url}/4`))).toBe("url-forbidden");
    expect(await reasonOf(download(`${http.url}/loop`))).toBe("url-forbidden");
    expect(http.requests).toHaveLength(4 + 4 + 4);
  });

  it("does not follow a redirect inside, to another scheme, or where the policy cannot tell", async () => {
    const resolver = { resolve: async (host: string) => (host === "127.0.0.1" ? [host] : ["127.0.0.1"]) };
    for (const location of ["file:///etc/passwd", "data:image/png;base64,AAAA", "https://a\\@b/", "gopher://x/", "http://[::1%25eth0]/"]) {
      routes["/moved"] = (_request, response) => response.writeHead(307, { location }).end();
      expect([location, await reasonOf(download(`${http.url}/moved`, { resolver }))]).toEqual([location, "url-forbidden"]);
    }
  });

  it("sends no login, not its URL's own either, and carries none to the next hop", async () => {
    routes["/moved"] = (_request, response) =>
      response.writeHead(301, { location: `http://user:pw@127.0.0.1:${http.port}/0`, "set-cookie": "a=b" }).end();
    routes["/0"] = (_request, response) => response.end("image");
    await download(`http://me:secret@127.0.0.1:${http.port}/moved`);
    for (const { headers } of http.requests) {
      expect([headers.authorization, headers.cookie, headers.referer]).toEqual([undefined, undefined, undefined]);
    }
  });

  it.each([404, 500, 304, 300, 206])("takes status %i for what it is", async (status) => {
    routes["/a.png"] = (_request, response) => response.writeHead(status).end(status === 304 ? undefined : "image");
    const outcome = await reasonOf(download(`${http.url}/a.png`));
    expect(outcome).toBe(status === 206 ? "no error" : "unreachable");
  });

  it("ends at its deadline when the server drips, and hangs up", async () => {
    const timers: NodeJS.Timeout[] = [];
    routes["/drip"] = (_request, response) => void timers.push(setInterval(() => response.write("x"), 20));
    expect(await reasonOf(download(`${http.url}/drip`, { config: { downloadMs: 200 } }))).toBe("timeout");
    await http.gone(0);
    for (const timer of timers) clearInterval(timer);
  });

  it("ends at its deadline when the server says nothing at all", async () => {
    routes["/mute"] = () => {};
    expect(await reasonOf(download(`${http.url}/mute`, { config: { downloadMs: 200 } }))).toBe("timeout");
    await http.gone(0);
  });

  it("ends at its deadline while a name is being resolved", async () => {
    const stuck: NameResolver = { resolve: (_host, signal) => once(signal as AbortSignal, "abort").then(() => []) };
    expect(await reasonOf(download("http://stuck.example/", { config: { downloadMs: 100 }, resolver: stuck }))).toBe("timeout");
  });

  it("hangs up on a body beyond the limit, whatever length was announced", async () => {
    const chunk = Buffer.alloc(64 * 1024);
    const pour = (response: ServerResponse) => {
      while (!response.destroyed && response.write(chunk));
      response.once("drain", () => pour(response));
    };
    routes["/endless"] = (_request, response) => pour(response);
    expect(await reasonOf(download(`${http.url}/endless`, { config: { downloadBytesMax: 1_000_000 } }))).toBe("too-large");
    await http.gone(0);
  });

  it("hangs up as soon as it has enough", async () => {
    routes["/a.png"] = (_request, response) => void response.write(Buffer.alloc(100_000));
    expect((await download(`${http.url}/a.png`, { enough: 100 })).bytes.length).toBeGreaterThanOrEqual(100);
    await http.gone(0);
  });

  it("hangs up when the caller leaves, with the caller's reason", async () => {
    const caller = new AbortController();
    routes["/mute"] = () => caller.abort(new Error("left"));
    expect(await reasonOf(download(`${http.url}/mute`, { signal: caller.signal }))).toMatchObject({ message: "left" });
    await http.gone(0);
  });

  it("fails with a reason when nobody listens, the connection is cut, or the answer is no HTTP", async () => {
    routes["/cut"] = (request) => request.socket.destroy();
    routes["/short"] = (request, response) => {
      response.writeHead(200, { "content-length": 1000 }).write("part", () => request.socket.destroy());
    };
    routes["/garbage"] = (request) => request.socket.end("SSH-2.0-OpenSSH\r\n");
    for (const path of ["/cut", "/short", "/garbage"])
      expect([path, await reasonOf(download(`${http.url}${path}`))]).toEqual([path, "unreachable"]);
    const { server: closed, port } = await listen(() => {});
    closed.close();
    expect(await reasonOf(download(`http://127.0.0.1:${port}/`))).toBe("unreachable");
  });

  it("waits for a free slot of its host and gives up when none comes", async () => {
    const arrived = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    routes["/a"] = (_request, response) => {
      arrived.resolve();
      void finish.promise.then(() => response.end("image"));
    };
    routes["/b"] = (_request, response) => response.end("image");
    const config = { ...imageConfigDefaults, downloadsParallelPerHost: 1, downloadSlotWaitMs: 100 };
    const downloads = createDownloads(config, egressPolicyOf(internal));
    opened.push(downloads);
    const first = fetchWith(downloads, `${http.url}/a`);
    await arrived.promise;
    expect(await reasonOf(fetchWith(downloads, `${http.url}/b`))).toBe("busy");
    finish.resolve();
    expect((await first).bytes.toString()).toBe("image");
    expect((await fetchWith(downloads, `${http.url}/b`)).bytes.toString()).toBe("image");
  });
});

describe("the connector", () => {
  it("dials no address inside even when it is asked for one outright", async () => {
    const { rules, proxy } = egressPolicyOf(httpOnly);
    const resolver = { resolve: async (host: string) => [host] };
    const transport = createHttpTransport({ rules, proxy, resolver, connectMs: 1_000, totalMs: 1_000, parallelPerHost: 1 });
    for (const host of ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"]) {
      expect([host, await reasonOf(transport.get(new URL(`http://${host}:${http.port}/`), AbortSignal.timeout(5_000)))]).toEqual([
        host,
        "url-forbidden",
      ]);
    }
    expect(http.requests).toEqual([]);
    await transport.close();
  });
});

describe("behind an egress proxy", () => {
  let proxy: Server;
  let proxyUrl: string;
  let asked: string[];

  beforeEach(async () => {
    asked = [];
    const started = await listen((request, response) => {
      asked.push(request.url ?? "");
      response.end("image");
    });
    proxy = started.server;
    proxyUrl = `http://127.0.0.1:${started.port}`;
    proxy.on("connect", (request, socket) => {
      asked.push(`tunnel to ${request.url}`);
      socket.end("HTTP/1.1 502 no tunnels today\r\n\r\n");
    });
  });
  afterEach(() => {
    proxy.closeAllConnections();
    proxy.close();
  });

  it("goes through it when it is trusted to check addresses, without resolving the name here", async () => {
    const nobody = { resolve: async () => Promise.reject(new Error("asked")) };
    const env = { ...httpOnly, HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl, DYN_MM_TRUST_EGRESS_PROXY: "1" };
    expect((await download("http://img.example/a.png", { env, resolver: nobody })).bytes.toString()).toBe("image");
    expect(await reasonOf(download("https://img.example/a.png", { env, resolver: nobody }))).toBe("unreachable");
    expect(asked).toEqual(["http://img.example/a.png", "tunnel to img.example:443"]);
  });

  it("does not go through it otherwise, and never to a name or address inside", async () => {
    const resolver = { resolve: async () => ["93.184.216.34"] };
    const untrusted = { ...httpOnly, HTTP_PROXY: proxyUrl };
    expect(await reasonOf(download("http://img.example/a.png", { env: untrusted, resolver }))).toBe("url-forbidden");
    const trusted = { ...untrusted, DYN_MM_TRUST_EGRESS_PROXY: "1" };
    for (const url of ["http://169.254.169.254/", "http://metadata.google.internal/"]) {
      expect(await reasonOf(download(url, { env: trusted, resolver }))).toBe("url-forbidden");
    }
    expect(asked).toEqual([]);
  });

  it("goes directly where NO_PROXY says so", async () => {
    routes["/a.png"] = (_request, response) => response.end("image");
    const env = { ...internal, HTTP_PROXY: proxyUrl, NO_PROXY: "example.com,127.0.0.1" };
    expect((await download(`${http.url}/a.png`, { env })).bytes.toString()).toBe("image");
    expect(asked).toEqual([]);
  });
});
