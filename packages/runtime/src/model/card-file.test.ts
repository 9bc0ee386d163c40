import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cardFileOf, readCardFile } from "./card-file.ts";

// BLAKE3's published digests (reference implementation, test vectors and README).
const checksumOfAbc = "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
const checksumOfNothing = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

let folder: string;
let server: Server;
let url: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "card-file-"));
  await writeFile(join(folder, "abc"), "abc");
  await writeFile(join(folder, "nothing"), "");
  server = createServer((request, response) => {
    if (request.url === "/v1/metadata/abc") response.end("abc");
    else if (request.url === "/endless") response.end(Buffer.alloc(100_000));
    else response.writeHead(404).end("no");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  await rm(folder, { recursive: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe("cardFileOf", () => {
  it("names a file by absolute path, BLAKE3 digest and size", async () => {
    expect(await cardFileOf(join(folder, "abc"))).toEqual({ path: join(folder, "abc"), checksum: checksumOfAbc, size: 3 });
    expect(await cardFileOf(join(folder, "nothing"))).toMatchObject({ checksum: checksumOfNothing, size: 0 });
  });

  it("says which file is missing", async () => {
    await expect(cardFileOf(join(folder, "gone"))).rejects.toMatchObject({
      code: "dependency_unreachable",
      message: `the model file ${join(folder, "gone")} cannot be read on this host`,
    });
  });
});

describe("readCardFile", () => {
  it("reads by path and by URL alike", async () => {
    expect((await readCardFile({ path: join(folder, "abc"), checksum: checksumOfAbc })).toString()).toBe("abc");
    expect((await readCardFile({ path: `${url}/v1/metadata/abc`, checksum: checksumOfAbc, size: 3 })).toString()).toBe("abc");
  });

  it("refuses bytes that are not those of the card", async () => {
    for (const path of [join(folder, "abc"), `${url}/v1/metadata/abc`]) {
      await expect(readCardFile({ path, checksum: checksumOfNothing })).rejects.toMatchObject({
        code: "protocol_error",
        details: { expected: checksumOfNothing, actual: checksumOfAbc },
      });
    }
  });

  it("refuses more bytes than its limit, before it has read them all", async () => {
    const tooLong = { code: "protocol_error", message: expect.stringContaining("more than 2 bytes") };
    await expect(readCardFile({ path: join(folder, "abc"), checksum: checksumOfAbc }, { bytesMax: 2 })).rejects.toMatchObject(tooLong);
    await expect(readCardFile({ path: `${url}/endless`, checksum: checksumOfAbc }, { bytesMax: 2 })).rejects.toMatchObject(tooLong);
  });

  it("says whose file could not be had", async () => {
    const gone = { code: "dependency_unreachable", message: expect.stringContaining("cannot be had from its worker") };
    await expect(readCardFile({ path: `${url}/gone`, checksum: checksumOfAbc })).rejects.toMatchObject(gone);
    await expect(readCardFile({ path: "http://127.0.0.1:9/abc", checksum: checksumOfAbc })).rejects.toMatchObject(gone);
  });

  it("gives up when its signal aborts", async () => {
    const reading = readCardFile({ path: `${url}/v1/metadata/abc`, checksum: checksumOfAbc }, { signal: AbortSignal.abort() });
    await expect(reading).rejects.toMatchObject({ code: "dependency_unreachable" });
  });

  it("does not take a relative path or another kind of URL for a file of this process", async () => {
    for (const path of ["abc", "../abc", "file:///etc/passwd"]) {
      await expect(readCardFile({ path, checksum: checksumOfAbc })).rejects.toMatchObject({ code: "protocol_error" });
    }
  });
});
