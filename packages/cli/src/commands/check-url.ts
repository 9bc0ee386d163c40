// `mmr check-url`: whether the router would open a URL, and why not.
//
//   {"url":"…","world":{"dns":{host:[addresses]},"dns_at_connect"?,"redirects"?:{url:[status,location]}}?}
//     →   {"allowed":true|false,"code"?,"reason"?,"addresses"?}
//
// With `world` nothing is asked: names resolve to what it says and nothing else, redirects are those it scripts. Without it names are
// resolved and nothing is opened. DYN_MM_ALLOW_INTERNAL, MMR_FETCH_HTTP and the proxy variables count as they do for the router.
import { isIP } from "node:net";
import { Readable } from "node:stream";
import { isDataUrl } from "@mm-router/kv";
import { type AddressRules, defaultResolver, egressPolicyOf, followRedirects, requireDialable } from "@mm-router/mm-router";
import { decodeAs, ImageProblem } from "@mm-router/protocol";
import { z } from "zod";
import type { LineCommand } from "../jsonl.ts";

export const name = "check-url";

const answers = z.record(z.string(), z.array(z.string()));

export const schema = z.object({
  url: z.string(),
  world: z
    .object({
      dns: answers.default({}),
      dns_at_connect: answers.nullish(),
      redirects: z.record(z.string(), z.tuple([z.int(), z.string().nullish()])).nullish(),
    })
    .nullish(),
});
type World = NonNullable<z.output<typeof schema>["world"]>;

const resolveMs = 10_000;

export function createCommand(): LineCommand {
  const egress = egressPolicyOf(process.env);
  return async (json) => {
    const { url, world } = decodeAs(schema, json, name);
    if (isDataUrl(url)) return { allowed: true };
    const network = world ? networkOf(world, egress.rules) : { resolver: defaultResolver(egress), get: async () => answer(200) };
    try {
      const outcome = await followRedirects(url, { ...egress, ...network }, AbortSignal.timeout(resolveMs));
      if (outcome.kind === "refused") return { allowed: false, code: outcome.code, reason: outcome.reason };
      return { allowed: true, addresses: outcome.addresses };
    } catch (error) {
      if (!(error instanceof ImageProblem)) throw error;
      return { allowed: false, code: error.details["code"], reason: error.message };
    }
  };
}

type Network = Pick<Parameters<typeof followRedirects>[1], "resolver" | "get">;

function networkOf({ dns, dns_at_connect, redirects }: World, rules: AddressRules): Network {
  const scripted = new Map(Object.entries(redirects ?? {}).map(([from, to]) => [URL.canParse(from) ? new URL(from).href : from, to]));
  const resolve = (host: string, names: Record<string, string[]>) => names[host] ?? (isIP(host) === 0 ? [] : [host]);
  return {
    resolver: { resolve: async (host) => resolve(host, dns) },
    async get({ url, host }) {
      requireDialable(host, resolve(host, { ...dns, ...dns_at_connect }), rules);
      return answer(...(scripted.get(url.href) ?? [200]));
    },
  };
}

function answer(status: number, location?: string | null): Awaited<ReturnType<Network["get"]>> {
  return { status, headers: { location: location ?? undefined }, body: Readable.from([]) };
}
