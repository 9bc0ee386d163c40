// Scenarios with names and redirects are in image-fetch.test.ts (multimodal/ssrf.json); here the edges of every rule.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AddressRules, admitUrl, dialableAddresses, refusalOfAddresses } from "./address-policy.ts";

const strict: AddressRules = { isInternalAllowed: false, isHttpAllowed: false };
const internal: AddressRules = { isInternalAllowed: true, isHttpAllowed: false };

/** First and last address of each network that must not be dialled, and public neighbours. Written out by hand from the RFCs. */
const edges: [network: string, first: string, last: string, neighbours: string[]][] = [
  ["0/8", "0.0.0.0", "0.255.255.255", ["1.0.0.0"]],
  ["10/8", "10.0.0.0", "10.255.255.255", ["9.255.255.255", "11.0.0.0"]],
  ["100.64/10", "100.64.0.0", "100.127.255.255", ["100.63.255.255", "100.128.0.0"]],
  ["127/8", "127.0.0.0", "127.255.255.255", ["126.255.255.255", "128.0.0.0"]],
  ["169.254/16", "169.254.0.0", "169.254.255.255", ["169.253.255.255", "169.255.0.0"]],
  ["172.16/12", "172.16.0.0", "172.31.255.255", ["172.15.255.255", "172.32.0.0"]],
  ["192.0.0/24", "192.0.0.0", "192.0.0.255", ["191.255.255.255", "192.0.1.0"]],
  ["192.0.2/24", "192.0.2.0", "192.0.2.255", ["192.0.1.255", "192.0.3.0"]],
  ["192.168/16", "192.168.0.0", "192.168.255.255", ["192.167.255.255", "192.169.0.0"]],
  ["198.18/15", "198.18.0.0", "198.19.255.255", ["198.17.255.255", "198.20.0.0"]],
  ["198.51.100/24", "198.51.100.0", "198.51.100.255", ["198.51.99.255", "198.51.101.0"]],
  ["203.0.113/24", "203.0.113.0", "203.0.113.255", ["203.0.112.255", "203.0.114.0"]],
  ["224/4, 240/4", "224.0.0.0", "255.255.255.255", ["223.255.255.255"]],
  ["::/96", "::", "::ffff:ffff", ["2606:4700::1"]],
  ["::ffff:0:0/96", "::ffff:0.0.0.0", "::ffff:255.255.255.255", []],
  ["64:ff9b::/96", "64:ff9b::", "64:ff9b::ffff:ffff", []],
  ["64:ff9b:1::/48", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", []],
  ["2001::/32", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", ["2001:1::1"]],
  ["2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", ["2001:db7:ffff::", "2001:db9::"]],
  ["2002::/16", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ["2003::"]],
  ["fc00::/7", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", []],
  ["fe80::/10", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", []],
  ["fec0::/10", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", []],
  ["ff00::/8", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", []],
];

function codeOf(url: string, rules = strict): string {
  const verdict = admitUrl(url, rules);
  return verdict.kind === "refused" ? verdict.code : "admitted";
}

describe("addresses", () => {
  it.each(edges)("of %s are not dialled, their public neighbours are", (_network, first, last, neighbours) => {
    expect(dialableAddresses([first, last], strict)).toEqual([]);
    expect(dialableAddresses(neighbours, strict)).toEqual(neighbours);
  });

  it("that are no address, or local by a zone, are not dialled", () => {
    expect(dialableAddresses(["fe80::1%eth0", "2606:4700::1%eth0", "localhost", ""], strict)).toEqual([]);
  });

  it("refuse their name when one of them is bad, and when there are none", () => {
    expect(refusalOfAddresses("a.example", ["8.8.8.8", "10.0.0.1"], strict)?.code).toBe("blocked-address");
    expect(refusalOfAddresses("a.example", [], strict)?.code).toBe("unresolvable-host");
    expect(refusalOfAddresses("a.example", ["8.8.8.8"], strict)).toBeUndefined();
  });

  it("inside are dialled when that is allowed", () => {
    expect(dialableAddresses(["127.0.0.1", "fe80::1%eth0"], internal)).toEqual(["127.0.0.1", "fe80::1%eth0"]);
    expect(refusalOfAddresses("a.example", ["10.0.0.1"], internal)).toBeUndefined();
  });
});

describe("admitUrl", () => {
  it.each([
    ["https://img.example/a.png", "admitted"],
    ["https://img.example", "admitted"],
    ["https://img.example./a.png", "admitted"],
    ["https://img.example:443?x=1", "admitted"],
    ["http://img.example/a.png", "scheme-not-allowed"],
    ["data:image/png;base64,AAAA", "scheme-not-allowed"],
    ["//img.example/a.png", "scheme-not-allowed"],
    ["https:///img.example/a.png", "ambiguous-url"],
    ["https:img.example/a.png", "ambiguous-url"],
    ["https://", "ambiguous-url"],
    ["https://?x", "ambiguous-url"],
    ["https://a%2eexample/", "ambiguous-url"],
    ["https://img.example/a%2eb.png", "admitted"],
    ["https://img.example/a\\b.png", "ambiguous-url"],
    ["https://img.example/\0", "ambiguous-url"],
    ["https://img.example:0/", "malformed-url"],
    ["https://img.example:65536/", "malformed-url"],
    ["https://img.example../", "malformed-url"],
    ["https://.img.example/", "malformed-url"],
    ["https://metadata/", "blocked-host"],
    ["https://METADATA.GOOG./", "blocked-host"],
    ["https://deep.down.localhost/", "blocked-host"],
    ["https://db.prod.svc.cluster.local/", "blocked-host"],
    ["https://notlocalhost.example/", "admitted"],
    ["https://[::ffff:8.8.8.8]/", "blocked-address"],
    ["https://0x7f000001/", "blocked-address"],
  ])("says of %j: %s", (url, code) => {
    expect(codeOf(url)).toBe(code);
  });

  it("gives the host that will be resolved: lower case, mapped, without brackets and trailing dot", () => {
    const hostOf = (url: string) => {
      const verdict = admitUrl(url, internal);
      return verdict.kind === "admitted" ? verdict.host : verdict.code;
    };
    expect(["https://IMG.Example./", "https://bücher.example/", "https://[::1]:8080/"].map(hostOf)).toEqual([
      "img.example",
      "xn--bcher-kva.example",
      "::1",
    ]);
  });

  it("admits plain http when it is allowed, to public addresses only", () => {
    const rules = { isInternalAllowed: false, isHttpAllowed: true };
    expect([codeOf("http://img.example/", rules), codeOf("http://127.0.0.1/", rules)]).toEqual(["admitted", "blocked-address"]);
  });

  it("never admits another host than the one that a URL parser dials, whatever the text", () => {
    const piece = fc.constantFrom(
      "https",
      "http",
      "HTTPS",
      ":",
      "/",
      "//",
      "@",
      "127.0.0.1",
      "localhost",
      "img.example",
      "[::1]",
      "%",
      "\\",
      "\t",
      " ",
      "#",
      "?",
      ".",
      "443",
      "\0",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const verdict = admitUrl(pieces.join(""), strict);
        if (verdict.kind === "refused") return;
        const { hostname, protocol } = new URL(verdict.url.href);
        expect(protocol).toBe("https:");
        expect(["127.0.0.1", "localhost", "[::1]"]).not.toContain(hostname);
      }),
      { numRuns: 5_000 },
    );
  });
});
