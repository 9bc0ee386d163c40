import { AppError } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import type { InferenceDeps, InferenceRoute } from "../http/inference.ts";
import { adminApp, openAdminListener } from "./admin-listener.ts";
import type { Overview } from "./overview-shape.ts";

const overview = { version: "1", models: [{ name: "</script><b>" }] } as unknown as Overview;

function appOf(isLocal: boolean, overviewOf: () => Promise<Overview> = () => Promise.resolve(overview)) {
  const chat = { path: "/v1/chat/completions", route: {} as InferenceRoute };
  const decisions = { byRequest: () => Promise.resolve(undefined), latest: () => Promise.resolve([]) };
  return adminApp({ overview: overviewOf, decisions, inference: {} as InferenceDeps, chat }, isLocal);
}

describe("the admin listener", () => {
  it("serves the page with a policy that lets nothing in from elsewhere, and no script inline", async () => {
    const answer = await appOf(true).request("http://localhost/");
    const policy = answer.headers.get("content-security-policy")!;
    expect(answer.status).toBe(200);
    for (const rule of ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"])
      expect(policy).toContain(rule);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const text = await answer.text();
    expect(text).not.toMatch(/<script(?![^>]*\ssrc=)|\son\w+=|style="|https?:\/\//);
  });

  it("answers nobody who asks for another name on a loopback address", async () => {
    const status = async (url: string) => (await appOf(true).request(url)).status;
    expect(await status("http://rebound.example/page/api/overview")).toBe(421);
    for (const host of ["127.0.0.1:8001", "[::1]:8001", "localhost:9", "app.localhost"]) expect(await status(`http://${host}/`)).toBe(200);
    expect((await appOf(false).request("http://router.example/")).status).toBe(200);
  });

  it("answers no script of another site, neither data nor chats", async () => {
    const ask = (path: string, site: string, method = "GET") =>
      appOf(false).request(`http://localhost${path}`, { method, headers: { "sec-fetch-site": site } });
    expect((await ask("/page/api/overview", "cross-site")).status).toBe(403);
    expect((await ask("/page/api/decisions", "same-site")).status).toBe(403);
    expect((await ask("/v1/chat/completions", "cross-site", "POST")).status).toBe(403);
    expect((await ask("/page/api/overview", "same-origin")).status).toBe(200);
  });

  it("serves the files of the page and nothing else of the disk", async () => {
    for (const path of ["/page/main.js", "/page/style.css", "/page/icon.svg"]) expect((await appOf(true).request(path)).status).toBe(200);
    for (const path of ["/page/tsconfig.json", "/page/..%2fpackage.json", "/page/%2e%2e/package.json", "/page/nope.js"])
      expect((await appOf(true).request(path)).status).toBe(404);
  });

  it("lets a browser keep what has not changed", async () => {
    const first = await appOf(true).request("/page/main.js");
    const again = await appOf(true).request("/page/main.js", { headers: { "if-none-match": first.headers.get("etag")! } });
    expect(again.status).toBe(304);
  });

  it("says what failed, and null for a request that nobody remembers", async () => {
    const failing = appOf(true, () => Promise.reject(new AppError("deadline_exceeded", "looking took too long")));
    const answer = await failing.request("/page/api/overview");
    expect(answer.status).toBe(504);
    expect(await answer.json()).toEqual({ error: { code: "deadline_exceeded", message: "looking took too long" } });
    expect(await (await appOf(true).request("/page/api/decisions?id=x")).json()).toEqual({ decision: null });
  });

  it("takes any port where nobody asked for one and the usual one is taken, and refuses one that was asked for", async () => {
    const deps = { overview: () => Promise.resolve(overview), decisions: { byRequest: async () => undefined, latest: async () => [] } };
    const chat = { path: "/v1/chat/completions", route: {} as InferenceRoute };
    const open = (port: number | undefined) =>
      openAdminListener({ host: "127.0.0.1", port }, { ...deps, inference: {} as InferenceDeps, chat });
    const [one, two] = [await open(undefined), await open(undefined)];
    expect(one.port).not.toBe(two.port);
    await expect(open(two.port)).rejects.toMatchObject({ code: "configuration" });
    one.close();
    two.close();
  });
});
