// Downloads one image under the fetch policy (multimodal.md §7.2).
//
//   URL ─ admit ─ resolve and check ─ GET ─┬─ 301, 302, 303, 307, 308 with Location ─ admit … (3 times at most)
//                                          └─ anything else is the answer: 2xx → bytes, counted while they arrive
//                                                                          304 → unchanged, where that was asked
//
// I1  Every hop passes every rule again. A redirect stays http(s).
// I2  Nothing the server says about itself is believed: neither its content type nor its length.
// I3  One deadline over slots, names, hops and body; cancelled by the caller's signal; the socket is closed in every case.
import { pipeline, type Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { ImageProblem } from "@mm-router/protocol";
import { type AddressRefusal, type AddressRules, type AdmittedUrl, admitUrl, refusalOfAddresses, refuse } from "./address-policy.ts";
import { DownloadSlots } from "./download-slots.ts";
import type { EgressProxy } from "./egress-proxy.ts";
import { conditionFor, type Reuse, reuseOf, type Validators } from "./http-caching.ts";
import type { HttpAnswer, HttpTransport } from "./http-transport.ts";
import type { NameResolver } from "./name-resolver.ts";

export interface FetchLimits {
  readonly bytesMax: number;
  readonly totalMs: number;
  readonly parallel: number;
  readonly parallelPerHost: number;
  readonly slotWaitMs: number;
}

/** Where the bytes go. */
export interface ByteSink {
  /** What the server announces, before the first bytes; a hint for allocation and nothing else. */
  expect?(bytes: number): void;
  /** @returns false when no more bytes are wanted */
  take(bytes: Buffer): boolean;
}

export interface ImageFetcher {
  /**
   * Feeds the image's bytes to `sink` until it has enough or the body ends.
   *
   * @param known what its server can be asked by; unchanged, it sends no bytes
   * @throws ImageProblem `url-forbidden`, `unreachable`, `timeout`, `too-large`, `busy`; the signal's reason when the caller left
   */
  fetch(url: string, sink: ByteSink, signal: AbortSignal, known?: Validators): Promise<FetchedImage>;
}

export interface FetchedImage extends Reuse {
  /** No bytes came: the file is the one that the validators are of. */
  readonly isUnchanged: boolean;
}

const redirectsMax = 3;
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export interface RedirectWalk {
  readonly rules: AddressRules;
  readonly resolver: NameResolver;
  readonly proxy?: EgressProxy;
  get(admitted: AdmittedUrl, signal: AbortSignal): Promise<HttpAnswer>;
}

export type WalkOutcome =
  | AddressRefusal
  | { readonly kind: "answer"; readonly answer: HttpAnswer; readonly url: URL; readonly addresses: readonly string[] };

/** Follows redirects by hand; every hop is admitted and resolved before it is asked. */
export async function followRedirects(raw: string, walk: RedirectWalk, signal: AbortSignal): Promise<WalkOutcome> {
  let hop: AdmittedUrl | AddressRefusal = admitUrl(raw, walk.rules);
  for (let redirects = 0; ; redirects++) {
    if (hop.kind === "refused") return hop;
    const resolved = await resolveHop(hop, walk, signal);
    if ("kind" in resolved) return resolved;
    const answer = await walk.get(hop, signal);
    const location = redirectStatuses.has(answer.status) ? answer.headers["location"] : undefined;
    if (location === undefined) return { kind: "answer", answer, url: hop.url, addresses: resolved };
    answer.body.destroy();
    if (redirects === redirectsMax) return refuse("too-many-redirects", `more than ${redirectsMax} redirects`);
    hop = admitLocation(location, hop.url, walk.rules);
  }
}

async function resolveHop(
  { url, host }: AdmittedUrl,
  walk: RedirectWalk,
  signal: AbortSignal,
): Promise<readonly string[] | AddressRefusal> {
  if (walk.proxy?.proxyFor(url) !== undefined) {
    if (walk.proxy.isTrusted || walk.rules.isInternalAllowed) return [];
    return refuse("untrusted-proxy", "the egress proxy is not said to check addresses (DYN_MM_TRUST_EGRESS_PROXY=1)");
  }
  const addresses = await walk.resolver.resolve(host, signal);
  return refusalOfAddresses(host, addresses, walk.rules) ?? addresses;
}

function admitLocation(location: string, from: URL, rules: AddressRules): AdmittedUrl | AddressRefusal {
  if (/[\\\0]/.test(location)) return refuse("ambiguous-url", "a redirect contains a backslash or a NUL");
  if (!URL.canParse(location, from.href)) return refuse("malformed-url", "a redirect to something that is no URL");
  return admitUrl(new URL(location, from).href, rules);
}

export interface FetcherDependencies {
  readonly rules: AddressRules;
  readonly resolver: NameResolver;
  readonly proxy: EgressProxy;
  readonly transport: HttpTransport;
}

export function createImageFetcher(limits: FetchLimits, dependencies: FetcherDependencies): ImageFetcher {
  const slots = new DownloadSlots({ parallel: limits.parallel, parallelPerHost: limits.parallelPerHost, waitMs: limits.slotWaitMs });

  async function download(url: string, sink: ByteSink, signal: AbortSignal, known?: Validators): Promise<FetchedImage> {
    const get = (hop: AdmittedUrl) => dependencies.transport.get(hop.url, signal, conditionFor(hop.url, known));
    const outcome = await followRedirects(url, { ...dependencies, get }, signal);
    if (outcome.kind === "refused") throw new ImageProblem("url-forbidden", outcome.reason, { details: { code: outcome.code } });
    const { answer } = outcome;
    try {
      const reuse = reuseOf(answer.headers, outcome.url);
      if (answer.status === 304 && conditionFor(outcome.url, known) !== undefined) return { ...renewed(reuse, known), isUnchanged: true };
      if (answer.status < 200 || answer.status > 299) throw new ImageProblem("unreachable", `the image server answered ${answer.status}`);
      await readBody(answer, sink, limits.bytesMax);
      return { ...reuse, isUnchanged: false };
    } finally {
      answer.body.destroy();
    }
  }

  return {
    async fetch(url, sink, signal, known) {
      const deadline = AbortSignal.timeout(limits.totalMs);
      const either = AbortSignal.any([signal, deadline]);
      const release = await slots.take(hostOf(url), either);
      try {
        return await download(url, sink, either, known);
      } catch (error) {
        signal.throwIfAborted();
        if (deadline.aborted) throw new ImageProblem("timeout", `the download took longer than ${limits.totalMs} ms`, { cause: error });
        throw problemOf(error);
      } finally {
        release();
      }
    },
  };
}

async function readBody(answer: HttpAnswer, sink: ByteSink, bytesMax: number): Promise<void> {
  const announced = Number(answer.headers["content-length"]);
  if (announced > 0) sink.expect?.(Math.min(announced, bytesMax));
  let bytes = 0;
  for await (const chunk of decompressed(answer)) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new ImageProblem("too-large", `the image has more than ${bytesMax} bytes`);
    if (!sink.take(chunk)) return;
  }
}

/** We ask for none, but a server may compress all the same. What is counted is what comes out. */
function decompressed({ headers, body }: HttpAnswer): Readable {
  switch (headers["content-encoding"]?.toLowerCase()) {
    case "gzip":
    case "x-gzip":
      return through(body, createGunzip());
    case "deflate":
      return through(body, createInflate());
    case "br":
      return through(body, createBrotliDecompress());
    default:
      return body;
  }
}

function through(body: Readable, decoder: ReturnType<typeof createGunzip>): Readable {
  // The reader of the decoder sees every error; the callback only keeps it from being thrown a second time.
  return pipeline(body, decoder, () => {});
}

/** What a 304 leaves out is as it was. */
function renewed(reuse: Reuse, known: Validators | undefined): Reuse {
  return { ...reuse, freshMs: reuse.freshMs ?? known?.freshMs, validators: reuse.validators ?? known };
}

function problemOf(error: unknown): ImageProblem {
  if (error instanceof ImageProblem) return error;
  if (error instanceof Error && error.cause instanceof ImageProblem) return error.cause;
  const code = (error as { code?: unknown } | null)?.code;
  const reason = typeof code === "string" && code.endsWith("_TIMEOUT") ? "timeout" : "unreachable";
  return new ImageProblem(reason, "the image could not be downloaded", { cause: error });
}

/** "" for what cannot be parsed and so is refused in a moment. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : "";
}
