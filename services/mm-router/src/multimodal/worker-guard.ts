// What must not reach a worker, because it would harm more than the request (multimodal.md §6.6, §7.2). Each is a 400 with a sentence.
//
//   ≤ 1.5   exits on a prompt that its engine refuses           wrong number of placeholders, impossible image size, too long a prompt
//   ≤ 1.0   fetches from any address, metadata servers included  URLs that our own policy would not open
//
// I1  Only what is certain is refused: a doubt is forwarded.
import { isDataUrl } from "@mm-router/kv";
import { AppError } from "@mm-router/protocol";
import { type AddressRefusal, type AddressRules, admitUrl, refusalOfAddresses } from "./address-policy.ts";
import { boundedMap } from "./bounded-map.ts";
import type { EgressProxy } from "./egress-proxy.ts";
import { ExpiringCache } from "./expiring-cache.ts";
import type { NameResolver } from "./name-resolver.ts";

export function placeholderMismatch(placeholders: number, images: number): AppError | undefined {
  if (placeholders === images) return undefined;
  return new AppError("invalid_request", `the prompt has ${placeholders} image placeholders for ${images} images`);
}

export function tooManyImages(images: number, imagesMax: number): AppError {
  return new AppError("too_many_images", `the request has ${images} images; the limit is ${imagesMax}`);
}

export function impossibleSize(why: string): AppError {
  return new AppError("invalid_request", why);
}

export function promptTooLong(tokens: number, tokensMax: number | undefined): AppError | undefined {
  if (tokensMax === undefined || tokens <= tokensMax) return undefined;
  return new AppError("context_length_exceeded", `the prompt has ${tokens} tokens with its images; the model takes ${tokensMax}`);
}

/** A name server that is slower than this makes its name a doubt (I1). */
const resolveMs = 3_000;
const namesParallel = 8;
const verdictFreshMs = 10_000;
const verdictsMax = 4_096;

export interface GuardDependencies {
  readonly rules: AddressRules;
  readonly resolver: NameResolver;
  readonly proxy: EgressProxy;
}

/** Judges the URLs of requests for workers that would open anything. */
export class AddressGuard {
  readonly #dependencies: GuardDependencies;
  readonly #verdicts = new ExpiringCache<string, AddressRefusal | "harmless">(verdictsMax);

  constructor(dependencies: GuardDependencies) {
    this.#dependencies = dependencies;
  }

  /** @returns the 400 for the first URL that leads to an address inside, or that two parsers may read as two hosts */
  async refusalOf(urls: readonly (string | undefined)[], signal: AbortSignal): Promise<AppError | undefined> {
    if (this.#dependencies.rules.isInternalAllowed) return undefined;
    const remote = urls.flatMap((url) => (url === undefined || isDataUrl(url) ? [] : [url]));
    const verdicts = await boundedMap(remote, namesParallel, (url) => this.#verdictOf(url, signal));
    const refusal = verdicts.find((verdict) => verdict !== "harmless");
    return (
      refusal &&
      new AppError("image_forbidden", `an image URL is refused: ${refusal.reason}`, { status: 400, details: { code: refusal.code } })
    );
  }

  async #verdictOf(url: string, signal: AbortSignal): Promise<AddressRefusal | "harmless"> {
    const known = this.#verdicts.get(url);
    if (known !== undefined) return known;
    const verdict = (await this.#judge(url, signal)) ?? "harmless";
    this.#verdicts.set(url, verdict, verdictFreshMs);
    return verdict;
  }

  async #judge(url: string, signal: AbortSignal): Promise<AddressRefusal | undefined> {
    const { rules, resolver, proxy } = this.#dependencies;
    const admitted = admitUrl(url, { ...rules, isHttpAllowed: true });
    if (admitted.kind === "refused") return admitted;
    if (proxy.proxyFor(admitted.url) !== undefined) return undefined;
    const addresses = await resolver.resolve(admitted.host, AbortSignal.any([signal, AbortSignal.timeout(resolveMs)])).catch(() => {
      signal.throwIfAborted();
      return [];
    });
    // A name that does not resolve is no danger; the worker says so itself.
    return addresses.length === 0 ? undefined : refusalOfAddresses(admitted.host, addresses, rules);
  }
}
