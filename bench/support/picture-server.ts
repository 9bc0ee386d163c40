// Pictures over HTTP, each under as many URLs as wanted: /NAME/ANYTHING.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { PictureFile } from "./pictures.ts";

export interface PictureServer extends AsyncDisposable {
  /** Of another file each time: bytes behind the end change the content and not the picture. */
  urlOf(name: string, tail: string): string;
}

export async function servePictures(files: readonly PictureFile[]): Promise<PictureServer> {
  const server = createServer((request, response) => {
    const [, name, tail] = request.url!.split("/");
    response.end(Buffer.concat([files.find((file) => file.name === name)!.bytes, Buffer.from(tail!)]));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    urlOf: (name, tail) => `http://127.0.0.1:${port}/${name}/${tail}`,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
