// Which proxy a download goes through, by the variables that Python's HTTP clients in the workers read as well.
//
//   HTTPS_PROXY, HTTP_PROXY (by the URL's scheme), ALL_PROXY            lower case wins
//   NO_PROXY   "*", host, .suffix, *.suffix, host:port; comma-separated
//
// Behind a proxy the address that is dialled is not ours to check. Workers from Dynamo 1.5 refuse such downloads unless
// DYN_MM_TRUST_EGRESS_PROXY=1 says that the proxy checks; so do we, for every release.

export type Environment = Readonly<Record<string, string | undefined>>;

export interface EgressProxy {
  /** The proxy's URL, or undefined for a direct connection. */
  proxyFor(url: URL): string | undefined;
  readonly isTrusted: boolean;
}

export function egressProxyOf(env: Environment): EgressProxy {
  const read = (name: string) => env[name.toLowerCase()] || env[name] || undefined;
  const proxies: Readonly<Record<string, string | undefined>> = {
    "https:": read("HTTPS_PROXY") ?? read("ALL_PROXY"),
    "http:": read("HTTP_PROXY") ?? read("ALL_PROXY"),
  };
  const direct = (read("NO_PROXY") ?? "").split(/[\s,]+/).filter((entry) => entry !== "");
  return {
    proxyFor: (url) => (direct.some((entry) => matches(entry.toLowerCase(), url)) ? undefined : proxies[url.protocol]),
    isTrusted: env["DYN_MM_TRUST_EGRESS_PROXY"] === "1",
  };
}

function matches(entry: string, url: URL): boolean {
  if (entry === "*") return true;
  const [, name = entry, port] = /^(.*):(\d+)$/.exec(entry) ?? [];
  const suffix = name.replace(/^\*?\./, "");
  const isHost = url.hostname === suffix || url.hostname.endsWith(`.${suffix}`);
  return isHost && (port === undefined || port === portOf(url));
}

function portOf(url: URL): string {
  return url.port || (url.protocol === "https:" ? "443" : "80");
}
