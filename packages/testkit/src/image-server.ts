// An HTTP server for images that a test controls, and a log of what was asked of it.
//
//   server.put("/cat.jpg", { body, contentType: "image/jpeg" })     as it should be
//   server.put("/slow", { body, delayMs: 300 })                     the body comes after a while
//   server.put("/huge", { bytes: 1e9 })                             zeros without end, never held in memory
//   server.put("/broken", { body, truncateTo: 100 })                says its length, then cuts the connection
//   server.put("/moved", { redirectTo: "http://…" })
//   server.put("/old", { body, headers: { etag: '"1"' } })          304 for who has it
//
// Paths that nobody put answer 404. What is not in `requests()` was not fetched: that is how a test proves it.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

export type ServedImage =
  | {
      readonly body: Uint8Array;
      /** Default `image/png`. */
      readonly contentType?: string;
      /** Besides type and length. With an `etag`, whoever asks by it gets 304. */
      readonly headers?: Readonly<Record<string, string>>;
      /** Between the head and the body. */
      readonly delayMs?: number;
      /** Bytes after which the connection is cut. */
      readonly truncateTo?: number;
    }
  | { readonly bytes: number }
  | { readonly redirectTo: string; readonly status?: number }
  | { readonly status: number };

export interface ImageServer extends AsyncDisposable {
  /** `http://127.0.0.1:port`, without a slash. */
  readonly url: string;
  /** Serves something at a path from now on; returns its URL. */
  put(path: string, image: ServedImage): string;
  /** Paths asked for so far, in order, queries included. */
  requests(): readonly string[];
}

export async function startImageServer(): Promise<ImageServer> {
  const images = new Map<string, ServedImage>();
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? "");
    answer(request, response, images).catch(() => response.destroy()); // the client left in the middle of a body
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    put(path, image) {
      images.set(path, image);
      return `${url}${path}`;
    },
    requests: () => requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, images: ReadonlyMap<string, ServedImage>): Promise<void> {
  const image = images.get(new URL(request.url ?? "/", "http://localhost").pathname) ?? { status: 404 };
  if ("redirectTo" in image) {
    response.writeHead(image.status ?? 302, { location: image.redirectTo }).end();
  } else if ("status" in image) {
    response.writeHead(image.status).end();
  } else if ("bytes" in image) {
    response.writeHead(200, { "content-type": "image/png", "content-length": image.bytes });
    await pipeline(Readable.from(zeros(image.bytes)), response);
  } else if (image.headers?.["etag"] !== undefined && request.headers["if-none-match"] === image.headers["etag"]) {
    response.writeHead(304, image.headers).end();
  } else {
    response.writeHead(200, { "content-type": image.contentType ?? "image/png", "content-length": image.body.length, ...image.headers });
    response.flushHeaders();
    await sleep(image.delayMs ?? 0);
    if (image.truncateTo === undefined) response.end(image.body);
    else response.write(image.body.subarray(0, image.truncateTo), () => response.destroy());
  }
}

function* zeros(bytes: number): Generator<Buffer> {
  const chunk = Buffer.alloc(64 * 1024);
  for (let left = bytes; left > 0; left -= chunk.length) yield chunk.subarray(0, left);
}
