// Host name → addresses, in two ways.
//
//   DNS alone    for strangers' URLs: asked in this process (c-ares), so a slow name server holds no thread, and can be given up
//   the system   getaddrinfo, with /etc/hosts and search domains: where internal addresses are allowed
//
// getaddrinfo runs on the four threads that also decode images: a handful of names on a dead name server would stop decoding.
import { lookup, Resolver } from "node:dns/promises";
import { isIP } from "node:net";

export interface NameResolver {
  /** All addresses, in order of preference; none when the name does not resolve. An IP literal is its own address. */
  resolve(host: string, signal?: AbortSignal): Promise<readonly string[]>;
}

const attemptMs = 2_000;

export function dnsResolver(): NameResolver {
  return {
    async resolve(host, signal) {
      if (isIP(host) !== 0) return [host];
      const resolver = new Resolver({ timeout: attemptMs, tries: 2 });
      const cancel = () => resolver.cancel();
      signal?.addEventListener("abort", cancel, { once: true });
      try {
        const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
        signal?.throwIfAborted();
        return answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
      } finally {
        signal?.removeEventListener("abort", cancel);
      }
    },
  };
}

export function systemResolver(): NameResolver {
  return {
    async resolve(host) {
      if (isIP(host) !== 0) return [host];
      try {
        return (await lookup(host, { all: true })).map(({ address }) => address);
      } catch {
        return []; // ENOTFOUND, EAI_AGAIN: for the caller both are a name that does not resolve
      }
    },
  };
}
