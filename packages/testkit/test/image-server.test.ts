import { describe, expect, it } from "vitest";
import { startImageServer } from "../src/image-server.ts";
import { solidPng } from "../src/picture.ts";

describe("startImageServer", () => {
  const picture = solidPng(28, 28, 0x336699);

  it("serves what was put and logs what was asked", async () => {
    await using server = await startImageServer();
    const answer = await fetch(server.put("/cat.png", { body: picture }));
    expect(answer.headers.get("content-type")).toBe("image/png");
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(picture);
    expect((await fetch(`${server.url}/dog.png?size=1`)).status).toBe(404);
    expect(server.requests()).toEqual(["/cat.png", "/dog.png?size=1"]);
  });

  it("cuts the connection in the middle of a truncated body", async () => {
    await using server = await startImageServer();
    const answer = await fetch(server.put("/broken", { body: picture, truncateTo: 10 }));
    expect(answer.headers.get("content-length")).toBe(`${picture.length}`);
    await expect(answer.arrayBuffer()).rejects.toThrow("terminated");
  });

  it("streams a body larger than memory allows and stops when the client leaves", async () => {
    await using server = await startImageServer();
    const client = new AbortController();
    const answer = await fetch(server.put("/huge", { bytes: 1e12 }), { signal: client.signal });
    const { value } = await answer.body!.getReader().read();
    expect(value?.length).toBeGreaterThan(0);
    client.abort();
  });

  it("redirects and answers bare statuses", async () => {
    await using server = await startImageServer();
    const moved = server.put("/moved", { redirectTo: server.put("/gone", { status: 410 }) });
    expect((await fetch(moved)).status).toBe(410);
    expect(server.requests()).toEqual(["/moved", "/gone"]);
  });

  it("sends the head at once and a slow body later", async () => {
    await using server = await startImageServer();
    const answer = await fetch(server.put("/slow", { body: picture, delayMs: 1_000 }));
    const startedAt = performance.now();
    await answer.arrayBuffer();
    expect(performance.now() - startedAt).toBeGreaterThan(100);
  });
});
