// Image servers that do what they can against a router: each request is forwarded with its reason, and nobody else waits for any of them.
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { crc32, gzipSync } from "node:zlib";
import { solidPng } from "@mm-router/testkit";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DegradeReason } from "../src/multimodal/index.ts";
import { fact, RouterCell, says, textRequest } from "./router-cell.ts";

const picture = solidPng(56, 56, 0x336699);
const tokens = [...Array.from({ length: 40 }, (_, i) => 1000 + i), 151652, 151655, 151653, 7].join(",");
const request = (url: string) =>
  `{"token_ids":[${tokens}],"multi_modal_data":{"image_url":[{"Url":"${url}"}]},"stop_conditions":{"max_tokens":1}}`;

type Route = (response: ServerResponse, base: string) => void;

const send =
  (bytes: Buffer | string, headers: Record<string, string> = {}): Route =>
  (response) =>
    void response.writeHead(200, headers).end(bytes);

function endless(response: ServerResponse): void {
  const chunk = Buffer.concat([picture, Buffer.alloc(64 * 1024)]);
  const pour = (): void => {
    while (!response.destroyed && response.write(chunk));
    response.once("drain", pour);
  };
  pour();
}

/** What a server does, and the reason that the router gives for pixels. */
const misdeeds: Readonly<Record<string, [Route, DegradeReason]>> = {
  "says nothing but 404": [(response) => void response.writeHead(404).end(), "unreachable"],
  fails: [(response) => void response.writeHead(500).end(), "unreachable"],
  "hangs up": [(response) => void response.destroy(), "unreachable"],
  "promises more than it sends": [
    (response) => response.writeHead(200, { "content-length": 9_999 }).write("part", () => response.destroy()),
    "unreachable",
  ],
  "turns in a circle": [(response, base) => void response.writeHead(302, { location: base }).end(), "url-forbidden"],
  "leads to a file": [(response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end(), "url-forbidden"],
  "never ends": [endless, "too-large"],
  "packs a bomb": [send(gzipSync(Buffer.concat([picture, Buffer.alloc(4_000_000)])), { "content-encoding": "gzip" }), "too-large"],
  "packs nonsense": [send("no gzip", { "content-encoding": "gzip" }), "unreachable"],
  "sends an SVG as PNG": [send('<svg xmlns="http://www.w3.org/2000/svg"/>', { "content-type": "image/png" }), "unsupported-format"],
  "sends a page": [send("<html></html>", { "content-type": "image/jpeg" }), "unsupported-format"],
  "sends a GIF": [send("GIF89a\u0001\u0000\u0001\u0000\u0000\u0000\u0000;"), "unsupported-format"],
  "sends nothing": [send(""), "unsupported-format"],
  "sends half a picture": [send(picture.subarray(0, picture.length - 20)), "undecodable"],
  "sends 100 megapixels": [send(ofSize(picture, 10_000, 10_000)), "too-many-pixels"],
  "sends 4 gigapixels": [send(ofSize(picture, 65_535, 65_535)), "undecodable"],
};

/** The picture with another size in its header, checksum right. */
function ofSize(png: Buffer, width: number, height: number): Buffer {
  const copy = Buffer.from(png);
  copy.writeUInt32BE(width, 16);
  copy.writeUInt32BE(height, 20);
  copy.writeUInt32BE(crc32(copy.subarray(12, 29)), 29);
  return copy;
}

let servers: { nats: NatsServer; etcd: EtcdServer };
let hostile: Server;
let base: string;
const stuck = new Set<ServerResponse>();

beforeAll(async () => {
  const [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
  servers = { nats, etcd };
  hostile = createServer((incoming, response) => {
    const name = decodeURIComponent(incoming.url!.slice(1));
    const url = `${base}${incoming.url}`;
    if (name in misdeeds) misdeeds[name]![0](response, url);
    else if (name.startsWith("drips")) void response.write(picture.subarray(0, 20), () => stuck.add(response));
    else stuck.add(response);
  }).listen(0, "127.0.0.1");
  await once(hostile, "listening");
  base = `http://127.0.0.1:${(hostile.address() as AddressInfo).port}`;
});

afterAll(async () => {
  hostile?.closeAllConnections();
  hostile?.close();
  await Promise.all([servers?.nats.stop(), servers?.etcd.stop()]);
});

const environment = { DYN_MM_ALLOW_INTERNAL: "1", MMR_IMAGE_BYTES_MAX: "2000000", MMR_IMAGE_DOWNLOAD_MS: "60000" };

describe("an image server that", () => {
  it.each(Object.keys(misdeeds))("%s costs the image's blocks and not the request", async (name) => {
    await using cell = new RouterCell(servers);
    const worker = await cell.worker(says(1), { release: "1.0" });
    const { lines } = await cell.router([], environment);
    const [item] = await cell.items(request(`${base}/${encodeURIComponent(name)}`));
    expect(item?.data).toEqual({ token_ids: [1], index: 0 });
    expect(worker.requests).toHaveLength(1);
    await fact(() => lines.some(({ msg }) => msg === "request done"));
    const { reason } = lines.find(({ msg }) => msg === "request done")!;
    // without an index every choice is by load, and says so; the image's own reason has its own line
    expect([reason, lines.find(({ msg }) => msg === "image not read")?.["reason"]]).toEqual(["index-missing", misdeeds[name]![1]]);
  });

  it("keeps 40 requests waiting keeps no text request waiting, and no stream that runs", async () => {
    await using cell = new RouterCell(servers);
    const go = Promise.withResolvers<void>();
    const worker = await cell.worker(
      async ({ body }, sink) => {
        await sink.item({ data: { token_ids: [1] } });
        if (body.includes('"slow":true')) await go.promise;
        await sink.item({ data: { token_ids: [2] } });
      },
      { release: "1.6" },
    );
    await cell.router([], { ...environment, MMR_IMAGE_DOWNLOADS_PER_HOST: "64" });
    const running = (await cell.call(textRequest(8, ',"slow":true')))[Symbol.asyncIterator]();
    expect((await running.next()).done).toBe(false);
    const waiting = Array.from({ length: 40 }, (_, n) => cell.items(request(`${base}/${n % 2 === 0 ? "drips" : "is mute"}${n}`)));
    await fact(() => stuck.size === 40);
    expect(await cell.items(textRequest(8))).toHaveLength(2);
    go.resolve();
    expect((await running.next()).done).toBe(false);
    expect(worker.requests).toHaveLength(2); // both texts; not one of the images
    for (const response of stuck) response.destroy();
    expect((await Promise.all(waiting)).map((items) => items.length)).toEqual(Array.from({ length: 40 }, () => 2));
  });
});
