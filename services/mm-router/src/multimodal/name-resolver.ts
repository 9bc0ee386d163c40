// Host name → addresses, in two ways.
//
//   DNS alone    for strangers' URLs: asked in this process (c-ares), so a slow name server holds no thread, and can be given up
//   the system   getaddrinfo, with /etc/hosts and search domains: where internal addresses are allowed
//
// getaddrinfo runs on the four threads that also decode images: a handful of names on a dead name server would stop decoding.
import { lookup, Resolver } from "node:dns/promises";
import { isIP } from "node:net";

export interface NameResolver {
  /**
   * All addresses, in order of preference; none when the name does not resolve. An IP literal is its own address.
   *
   * @throws the signal's reason as soon as it aborts
   */
  resolve(host: string, signal?: AbortSignal): Promise<readonly string[]>;
}

const attemptMs = 2_000;

export function dnsResolver(): NameResolver {
  return {
    async resolve(host, signal) {
      if (isIP(host) !== 0) return [host];
      const resolver = new Resolver({ timeout: attemptMs, tries: 2 });
      const answers = Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
      try {
        return (await orAborted(answers, signal)).flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
      } finally {
        resolver.cancel();
      }
    },
  };
}

export function systemResolver(): NameResolver {
  return {
    async resolve(host, signal) {
      if (isIP(host) !== 0) return [host];
      // ENOTFOUND, EAI_AGAIN: for the caller both are a name that does not resolve
      const answers = lookup(host, { all: true }).catch(() => []);
      return (await orAborted(answers, signal)).map(({ address }) => address);
    },
  };
}

/** What cannot be given up goes on alone. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
