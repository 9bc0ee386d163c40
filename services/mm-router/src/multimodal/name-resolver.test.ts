import { describe, expect, it } from "vitest";
import { dnsResolver, systemResolver } from "./name-resolver.ts";

describe.each([
  ["DNS", dnsResolver()],
  ["the system", systemResolver()],
])("names by %s", (_name, resolver) => {
  it("give an IP literal as its own address", async () => {
    expect(await resolver.resolve("127.0.0.1")).toEqual(["127.0.0.1"]);
    expect(await resolver.resolve("::1")).toEqual(["::1"]);
  });

  it("that cannot exist have no address", async () => {
    expect(await resolver.resolve("no-such-host.invalid", AbortSignal.timeout(15_000))).toEqual([]);
  });

  it("are given up at once when the caller leaves", async () => {
    await expect(resolver.resolve("img.example", AbortSignal.abort(new Error("left")))).rejects.toThrow("left");
    const caller = new AbortController();
    const work = resolver.resolve("img.example", caller.signal);
    caller.abort(new Error("left"));
    await expect(work).rejects.toThrow("left");
  });
});
