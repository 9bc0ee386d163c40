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
import { type AddressRules, dialableAddresses, requireDialable, undialable } from "./address-policy.ts";
import type { EgressProxy } from "./egress-proxy.ts";
import type { NameResolver } from "./name-resolver.ts";

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names; of a repeated header the first. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Must be read to its end or destroyed. */
  readonly body: Readable;
}

export interface HttpTransport {
  /** @param more headers besides those of every request */
  get(url: URL, signal: AbortSignal, more?: Readonly<Record<string, string>>): Promise<HttpAnswer>;
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

const idleMsMax = 10_000;

export function createHttpTransport(options: TransportOptions): HttpTransport {
  const timeouts = {
    headersTimeout: options.totalMs,
    bodyTimeout: options.totalMs,
    keepAliveMaxTimeout: idleMsMax, // a server may ask for hours
    allowH2: false,
  };
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
    async get(url, signal, more) {
      const headers = { accept: "*/*", "accept-encoding": "identity", "user-agent": "mm-router", ...more };
      const answer = await request(withoutUserinfo(url), { dispatcher: dispatcherFor(url), signal, headers });
      // Who reads a body sees its errors. One that is dropped reports its own end as an error, which without a listener ends the process.
      answer.body.on("error", () => {});
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
    const isLiteral = isIP(target.hostname) !== 0;
    if (isLiteral && dialableAddresses([target.hostname], rules).length === 0)
      callback(undialable(target.hostname, "blocked-address"), null);
    else connect(target, callback);
  };
}

function checkedLookup(rules: AddressRules, resolver: NameResolver): LookupFunction {
  const dialable = async (host: string) => requireDialable(host, await resolver.resolve(host.replace(/\.$/, "")), rules);
  return (hostname, options, callback) => {
    dialable(hostname).then(
      ([first, ...others]) => {
        if (options.all === true) callback(null, [first, ...others].map(withFamily));
        else callback(null, first, isIP(first));
      },
      (error: Error) => callback(error, []),
    );
  };
}

function withFamily(address: string): { address: string; family: number } {
  return { address, family: isIP(address) };
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
