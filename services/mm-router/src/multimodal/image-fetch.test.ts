import { Readable } from "node:stream";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { dialableAddresses, type AddressRules } from "./address-policy.ts";
import { followRedirects, type RedirectWalk } from "./image-fetch.ts";

interface SsrfCase {
  id: string;
  url: string;
  expect: "allow" | "deny";
  expect_allow_internal?: "allow" | "deny";
  dns?: Record<string, string[]>;
  dns_at_connect?: Record<string, string[]>;
  redirects?: Record<string, [status: number, location: string]>;
}

const { cases } = golden<{ cases: SsrfCase[] }>("multimodal/ssrf.json");

const strict: AddressRules = { isInternalAllowed: false, isHttpAllowed: false };
const internal: AddressRules = { isInternalAllowed: true, isHttpAllowed: false };

/** A network that answers as the case says; what it refuses to dial is what the real connector refuses. */
function world({ dns = {}, dns_at_connect = {}, redirects = {} }: SsrfCase, rules: AddressRules): RedirectWalk & { dialled: string[] } {
  const answersFor = (host: string) => dns[host] ?? (/^[\d.]+$|:/.test(host) ? [host] : []);
  const dialled: string[] = [];
  return {
    rules,
    dialled,
    resolver: { resolve: async (host) => answersFor(host) },
    async get({ url, host }) {
      const addresses = dialableAddresses(dns_at_connect[host] ?? answersFor(host), rules);
      if (addresses.length === 0) throw new Error("nothing to dial");
      dialled.push(...addresses);
      const [status, location] = redirects[url.href] ?? [200, undefined];
      return { status, headers: { location }, body: Readable.from([]) };
    },
  };
}

async function verdict(testCase: SsrfCase, rules: AddressRules): Promise<"allow" | "deny"> {
  try {
    const outcome = await followRedirects(testCase.url, world(testCase, rules), AbortSignal.timeout(5_000));
    return outcome.kind === "answer" ? "allow" : "deny";
  } catch {
    return "deny";
  }
}

describe("followRedirects", () => {
  it("lets nothing out of the recorded corpus that the policy denies, and refuses nothing that it allows", async () => {
    expect(cases).toHaveLength(107);
    const wrong: string[] = [];
    for (const testCase of cases) {
      if ((await verdict(testCase, strict)) !== testCase.expect) wrong.push(testCase.id);
    }
    expect(wrong).toEqual([]);
  });

  it("keeps the parser's rules, and only those, when internal addresses are allowed", async () => {
    const withVerdict = cases.filter((testCase) => testCase.expect_allow_internal !== undefined);
    expect(withVerdict.length).toBeGreaterThan(70);
    const wrong: string[] = [];
    for (const testCase of withVerdict) {
      const dns = testCase.dns ?? {};
      if ((await verdict({ ...testCase, dns }, internal)) !== testCase.expect_allow_internal) wrong.push(testCase.id);
    }
    expect(wrong).toEqual([]);
  });

  it("dials only the public ones of mixed answers at connect time", async () => {
    const mixed = cases.find((testCase) => testCase.id === "g079");
    if (mixed === undefined) throw new Error("g079 is gone");
    const network = world(mixed, strict);
    await followRedirects(mixed.url, network, AbortSignal.timeout(5_000));
    expect(network.dialled).toEqual(["93.184.216.34"]);
  });

  it("destroys the body of every redirect it follows", async () => {
    const bodies: Readable[] = [];
    const walk: RedirectWalk = {
      rules: strict,
      resolver: { resolve: async () => ["93.184.216.34"] },
      async get({ url }) {
        const body = new Readable({ read() {} });
        bodies.push(body);
        return { status: url.pathname === "/0" ? 302 : 200, headers: { location: "/1" }, body };
      },
    };
    await followRedirects("https://a.example/0", walk, AbortSignal.timeout(5_000));
    expect(bodies.map((body) => body.destroyed)).toEqual([true, false]);
  });
});
