// Which URLs the router itself may open. Pure: names are resolved elsewhere.
//
//   raw text ─ parser rules ─ scheme ─ host name ─┬─ IP literal ─ blocked networks
//                                                 └─ name ─ every resolved address ─ blocked networks
//
// A stranger chooses these URLs, and the router stands inside the cluster. The rules are the worker's (Dynamo ≥ 1.2, url_validator.py),
// closed where running it showed holes: trailing dots, *.localhost, IPv4-compatible, NAT64, 6to4, Teredo, site-local, port 0.
// Vectors: multimodal/ssrf.json.
// I1  The parser rules also hold with internal addresses allowed: they refuse what two URL parsers may read as two hosts.
// I2  A refusal says nothing about the request: it costs a cache hit, the worker decides for itself.
import { BlockList, isIP } from "node:net";
import { ImageProblem } from "@mm-router/protocol";

export interface AddressRules {
  /** Lifts the scheme's, the names' and the networks' rules: `DYN_MM_ALLOW_INTERNAL=1`. */
  readonly isInternalAllowed: boolean;
  /** Plain http to public addresses. */
  readonly isHttpAllowed: boolean;
}

/** Closed list; `reason` of a refusal is a sentence for people. */
export type AddressRefusalCode =
  | "malformed-url"
  | "ambiguous-url"
  | "scheme-not-allowed"
  | "blocked-host"
  | "blocked-address"
  | "unresolvable-host"
  | "too-many-redirects"
  | "untrusted-proxy";

export interface AddressRefusal {
  readonly kind: "refused";
  readonly code: AddressRefusalCode;
  readonly reason: string;
}

export interface AdmittedUrl {
  readonly kind: "admitted";
  readonly url: URL;
  /** Lower case, IDNA-mapped, without brackets and trailing dot: what is resolved, or an IP literal. */
  readonly host: string;
}

const blockedNames: ReadonlySet<string> = new Set([
  ...["localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"],
  ...["metadata", "metadata.google.internal", "metadata.goog", "kubernetes.default", "kubernetes.default.svc"],
]);
const blockedSuffixes: readonly string[] = [".localhost", ".svc.cluster.local"];

// Two lists, because a BlockList takes an IPv4 address for its IPv4-mapped IPv6 form, which is blocked below.
const blockedIpv4 = networks("ipv4", [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"],
  ...["192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"],
]);
const blockedIpv6 = networks("ipv6", [
  ...["::ffff:0:0/96", "fc00::/7", "fe80::/10", "ff00::/8"],
  // Beyond the worker's own list: what carries an IPv4 address inside, and what was never meant for the public net.
  ...["::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10", "2001:db8::/32"],
]);

/** Applies every rule that needs no name resolution. */
export function admitUrl(raw: string, rules: AddressRules): AdmittedUrl | AddressRefusal {
  if (/[\\\0]/.test(raw)) return refuse("ambiguous-url", "the URL contains a backslash or a NUL");
  const text = strip(raw);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== "https" && scheme !== "http") return refuse("scheme-not-allowed", `${scheme ?? "no"} scheme; images are https or data`);
  const authority = /^[^:]+:\/\/([^/?#]+)/.exec(text)?.[1];
  if (authority === undefined) return refuse("ambiguous-url", "the scheme is not followed by exactly two slashes and a host");
  if (authority.includes("%")) return refuse("ambiguous-url", "the host part contains a percent sign");
  if (!URL.canParse(text)) return refuse("malformed-url", "not a valid URL");
  const url = new URL(text);
  if (scheme === "http" && !rules.isHttpAllowed && !rules.isInternalAllowed)
    return refuse("scheme-not-allowed", "plain http is not allowed");
  return admitHost(url, rules);
}

function admitHost(url: URL, rules: AddressRules): AdmittedUrl | AddressRefusal {
  const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  if (host.split(".").includes("")) return refuse("malformed-url", "the host name has an empty label");
  if (url.port === "0") return refuse("malformed-url", "port 0");
  if (!rules.isInternalAllowed) {
    if (blockedNames.has(host) || blockedSuffixes.some((suffix) => host.endsWith(suffix))) {
      return refuse("blocked-host", `the host ${host} is internal`);
    }
    if (isIP(host) !== 0 && !isPublicAddress(host)) return refuseAddress(host);
  }
  return { kind: "admitted", url, host };
}

/**
 * The verdict on what a name resolved to, before any connection: one bad address refuses the name.
 *
 * @returns the refusal, or undefined when all addresses may be dialled
 */
export function refusalOfAddresses(host: string, addresses: readonly string[], rules: AddressRules): AddressRefusal | undefined {
  if (addresses.length === 0) return refuse("unresolvable-host", `the host ${host} does not resolve`);
  const bad = rules.isInternalAllowed ? undefined : addresses.find((address) => !isPublicAddress(address));
  return bad === undefined ? undefined : refuseAddress(bad);
}

/** What of the answers at connect time may be dialled. A name may have changed its mind since the check. */
export function dialableAddresses(addresses: readonly string[], rules: AddressRules): string[] {
  return rules.isInternalAllowed ? [...addresses] : addresses.filter(isPublicAddress);
}

function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  // A zone id makes an address local by definition, and BlockList does not parse it.
  if (family === 0 || address.includes("%")) return false;
  return family === 4 ? !blockedIpv4.check(address, "ipv4") : !blockedIpv6.check(address, "ipv6");
}

/** What both WHATWG's parser and Python's remove before they look. */
function strip(raw: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
  return raw.replace(/^[\0-\x20]+|[\0-\x20]+$/g, "").replace(/[\t\r\n]/g, "");
}

export function refuse(code: AddressRefusalCode, reason: string): AddressRefusal {
  return { kind: "refused", code, reason };
}

function refuseAddress(address: string): AddressRefusal {
  return refuse("blocked-address", `the address ${address} is not public`);
}

function networks(family: "ipv4" | "ipv6", list: readonly string[]): BlockList {
  const blocked = new BlockList();
  for (const network of list) {
    const [address = "", prefix = ""] = network.split("/");
    blocked.addSubnet(address, Number(prefix), family);
  }
  return blocked;
}

/** @throws ImageProblem `url-forbidden` when none of the addresses may be dialled */
export function requireDialable(host: string, addresses: readonly string[], rules: AddressRules): [string, ...string[]] {
  const [first, ...others] = dialableAddresses(addresses, rules);
  if (first !== undefined) return [first, ...others];
  throw undialable(host, addresses.length === 0 ? "unresolvable-host" : "blocked-address");
}

export function undialable(host: string, code: AddressRefusalCode): ImageProblem {
  return new ImageProblem("url-forbidden", `${host} has no address that may be dialled`, { details: { code } });
}
