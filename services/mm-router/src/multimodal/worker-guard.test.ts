import { describe, expect, it } from "vitest";
import { egressPolicyOf } from "./config.ts";
import { AddressGuard } from "./worker-guard.ts";

const signal = new AbortController().signal;

function guardOf(env: Record<string, string> = {}, dns: Record<string, string[]> = {}) {
  const asked: string[] = [];
  const resolver = {
    async resolve(host: string) {
      asked.push(host);
      return dns[host] ?? (/^[\d.]+$/.test(host) ? [host] : []);
    },
  };
  return { guard: new AddressGuard({ ...egressPolicyOf(env), resolver }), asked };
}

describe("AddressGuard", () => {
  const dns = { "img.example": ["93.184.216.34"], "inside.example": ["93.184.216.34", "10.0.0.7"] };

  it.each([
    "http://169.254.169.254/latest/meta-data/",
    "https://127.0.0.1/",
    "http://2852039166/",
    "http://metadata.google.internal/",
    "https://inside.example/a.png",
    "file:///etc/passwd",
    "/etc/passwd",
    "http://a\\@169.254.169.254/",
  ])("refuses %s with a 400 for workers that would open it", async (url) => {
    const { guard } = guardOf({}, dns);
    expect(await guard.refusalOf(["https://img.example/a.png", url], signal)).toMatchObject({ code: "image_forbidden", status: 400 });
  });

  it("lets pass what leads outside, plain http and data: URLs too, and what it cannot judge", async () => {
    const { guard } = guardOf({}, dns);
    const urls = ["http://img.example/a.png", "data:image/png;base64,AAAA", "https://unknown.example/", undefined];
    expect(await guard.refusalOf(urls, signal)).toBeUndefined();
  });

  it("lets everything pass where internal addresses are allowed, and asks nobody", async () => {
    const { guard, asked } = guardOf({ DYN_MM_ALLOW_INTERNAL: "1" });
    expect(await guard.refusalOf(["http://169.254.169.254/"], signal)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it("resolves a URL once for a while, and no name that goes through a proxy", async () => {
    const direct = guardOf({}, dns);
    for (let i = 0; i < 3; i++) await direct.guard.refusalOf(["https://img.example/a.png"], signal);
    expect(direct.asked).toEqual(["img.example"]);
    const proxied = guardOf({ HTTPS_PROXY: "http://proxy:3128" });
    expect(await proxied.guard.refusalOf(["https://img.example/a.png"], signal)).toBeUndefined();
    expect(proxied.asked).toEqual([]);
  });
});

describe("egress proxies", () => {
  const choose = (env: Record<string, string>, url: string) => egressPolicyOf(env).proxy.proxyFor(new URL(url));
  const both = { HTTPS_PROXY: "http://s:1", HTTP_PROXY: "http://p:1" };

  it("go by the URL's scheme, lower-case variables first, ALL_PROXY for the rest", () => {
    expect([choose(both, "https://a.example/"), choose(both, "http://a.example/")]).toEqual(["http://s:1", "http://p:1"]);
    expect(choose({ ...both, https_proxy: "http://l:1" }, "https://a.example/")).toBe("http://l:1");
    expect(choose({ ALL_PROXY: "http://all:1" }, "https://a.example/")).toBe("http://all:1");
    expect(choose({}, "https://a.example/")).toBeUndefined();
    expect(choose({ HTTPS_PROXY: "" }, "https://a.example/")).toBeUndefined();
  });

  it.each([
    ["*", "https://a.example/", false],
    ["a.example", "https://a.example/", false],
    ["a.example", "https://b.a.example/", false],
    [".a.example", "https://b.a.example/", false],
    ["*.a.example", "https://b.a.example/", false],
    ["a.example", "https://nota.example/", true],
    ["A.Example", "https://a.example/", false],
    ["a.example:443", "https://a.example/", false],
    ["a.example:8443", "https://a.example/", true],
    ["b.example, a.example", "https://a.example/", false],
    ["", "https://a.example/", true],
  ])("are passed by with NO_PROXY=%j for %s: %s", (noProxy, url, isProxied) => {
    expect(choose({ ...both, NO_PROXY: noProxy }, url) !== undefined).toBe(isProxied);
  });

  it("are trusted only when the operator says so", () => {
    expect(egressPolicyOf(both).proxy.isTrusted).toBe(false);
    expect(egressPolicyOf({ ...both, DYN_MM_TRUST_EGRESS_PROXY: "1" }).proxy.isTrusted).toBe(true);
  });
});
