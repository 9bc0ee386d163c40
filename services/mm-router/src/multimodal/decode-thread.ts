// The thread that decodes and hashes: 160 MB of pixels pass here and never reach the event loop, only their digest does.
//
// sharp decodes on libuv's pool, so several images are in work at a time; hashing is serial, at gigabytes per second.
import { parentPort } from "node:worker_threads";
import { type DecodeLimits, decodeImage } from "./image-decode.ts";
import { type PixelScheme, pixelDigest } from "./pixel-digest.ts";
import type { DegradeReason } from "./quality.ts";

export interface DecodeJob {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly scheme: PixelScheme;
  readonly limits: DecodeLimits;
}

export type DecodeReply =
  | { readonly id: number; readonly kind: "digest"; readonly digest: Uint8Array }
  | { readonly id: number; readonly kind: "refused"; readonly reason: DegradeReason };

parentPort?.on("message", (job: DecodeJob) => {
  void answer(job).then((reply) => parentPort?.postMessage(reply));
});

async function answer({ id, bytes, scheme, limits }: DecodeJob): Promise<DecodeReply> {
  const outcome = await decodeImage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), limits);
  if (outcome.kind === "refused") return { id, kind: "refused", reason: outcome.reason };
  return { id, kind: "digest", digest: pixelDigest(scheme, outcome.image) };
}
