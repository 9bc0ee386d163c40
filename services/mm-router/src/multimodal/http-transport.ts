// One HTTP GET, over a connector that checks every address it dials.
//
//   request ─ undici Agent ─ connector ─┬─ IP literal: checked here, `lookup` is never asked
//                                       └─ name: `lookup` resolves again, drops what may not be dialled
//   request ─ ProxyAgent                   for URLs that go through an egress proxy
//
// I1  No redirect is followed, no cookie, authorization or referrer is sent, also not the URL's own userinfo.
// I2  What is asked is what the workers' HTTP clients ask (`accept: */*`): a server that picks the format by it gives both the same file.
import { isIP, type LookupFunction } from "node:net";
import type { Readable } from "node:stream";
import { Agent, buildConnector, type Dispatcher, ProxyAgent, request } from "undici";
import { type AddressRules, dialableAddresses } from "./address-policy.ts";
import type { EgressProxy } from "./egress-proxy.ts";
import { ImageProblem } from "./image-problem.ts";
import type { NameResolver } from "./name-resolver.ts";

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names; of a repeated header the first. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Must be read to its end or destroyed. */
  readonly body: Readable;
}

export interface HttpTransport {
  get(url: URL, signal: AbortSignal): Promise<HttpAnswer>;
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly rules: AddressRules;
  readonly resolver: NameResolver;
  readonly proxy: EgressProxy;
  readonly connectMs: number;
  /** Also the longest pause between two pieces of a body. */
  readonly totalMs: number;
  readonly parallelPerHost: number;
}

export function createHttpTransport(options: TransportOptions): HttpTransport {
  const timeouts = { headersTimeout: options.totalMs, bodyTimeout: options.totalMs, allowH2: false };
  const direct = new Agent({ ...timeouts, connect: guardedConnector(options), connections: options.parallelPerHost });
  const proxied = new Map<string, ProxyAgent>();
  const dispatcherFor = (url: URL): Dispatcher => {
    const uri = options.proxy.proxyFor(url);
    if (uri === undefined) return direct;
    const agent = proxied.get(uri) ?? new ProxyAgent({ ...timeouts, uri });
    proxied.set(uri, agent);
    return agent;
  };
  return {
    async get(url, signal) {
      const headers = { accept: "*/*", "accept-encoding": "identity", "user-agent": "mm-router" };
      const answer = await request(withoutUserinfo(url), { dispatcher: dispatcherFor(url), signal, headers });
      return { status: answer.statusCode, headers: firstValues(answer.headers), body: answer.body };
    },
    async close() {
      await Promise.all([direct, ...proxied.values()].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

/** Closes DNS rebinding: a name that was public a moment ago is resolved once more, and only public addresses are dialled. */
function guardedConnector({ rules, resolver, connectMs }: TransportOptions): buildConnector.connector {
  const connect = buildConnector({ timeout: connectMs, allowH2: false, lookup: checkedLookup(rules, resolver) });
  return (target, callback) => {
    const isForbidden = isIP(target.hostname) !== 0 && dialableAddresses([target.hostname], rules).length === 0;
    if (isForbidden) callback(new ImageProblem("url-forbidden", `the address ${target.hostname} is not public`), null);
    else connect(target, callback);
  };
}

export function checkedLookup(rules: AddressRules, resolver: NameResolver): LookupFunction {
  return (hostname, options, callback) => {
    resolver.resolve(hostname.replace(/\.$/, "")).then(
      (addresses) => {
        const dialable = dialableAddresses(addresses, rules).map((address) => ({ address, family: isIP(address) }));
        const [first] = dialable;
        if (first === undefined) callback(new ImageProblem("url-forbidden", `${hostname} resolves to no address that may be dialled`), []);
        else if (options.all === true) callback(null, dialable);
        else callback(null, first.address, first.family);
      },
      (error: Error) => callback(error, []),
    );
  };
}

function withoutUserinfo(url: URL): URL {
  const plain = new URL(url);
  plain.username = "";
  plain.password = "";
  return plain;
}

function firstValues(headers: Record<string, string | string[] | undefined>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]));
}
