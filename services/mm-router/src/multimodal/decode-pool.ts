// Pixels → digest, off the event loop and within bounds.
//
//   event loop ── job: encoded bytes (handed over, not copied) ──► decode-thread.ts ── digest, 32 bytes ──► event loop
//
// I1  The bytes of all pixels in work stay within the budget; whoever comes later waits.
// I2  The thread starts with the first job, keeps no process alive while it is idle, and is replaced when it dies.
import { Worker } from "node:worker_threads";
import { mmHashOf } from "@mm-router/kv";
import { ImageProblem, type MmHash } from "@mm-router/protocol";
import { ByteBudget } from "./byte-budget.ts";
import type { DecodeJob, DecodeReply } from "./decode-thread.ts";
import type { DecodeLimits } from "./image-decode.ts";
import type { ImageHeader } from "./image-format.ts";
import type { PixelScheme } from "./pixel-digest.ts";

export interface PoolLimits extends DecodeLimits {
  /** Of decoded pixels, over all images in work. */
  readonly pixelBytesMax: number;
}

const bytesPerPixel = 4;

export class DecodePool {
  readonly #limits: PoolLimits;
  readonly #budget: ByteBudget;
  readonly #pending = new Map<number, PromiseWithResolvers<DecodeReply>>();
  #thread: Worker | undefined;
  #lastId = 0;

  constructor(limits: PoolLimits) {
    this.#limits = limits;
    this.#budget = new ByteBudget(limits.pixelBytesMax);
  }

  /**
   * Hashes an image's pixels.
   *
   * @param bytes the whole file; its memory belongs to the thread from now on
   * @throws ImageProblem `undecodable`, `unsupported-format`, `too-many-pixels`, `decode-timeout`, `decoder-lost`; the signal's reason while it waits
   */
  async hash(bytes: Buffer, header: ImageHeader, scheme: PixelScheme, signal: AbortSignal): Promise<MmHash> {
    const pixels = header.width * header.height;
    if (pixels > this.#limits.pixelsMax)
      throw new ImageProblem("too-many-pixels", `the image has more than ${this.#limits.pixelsMax} pixels`);
    const giveBack = await this.#budget.take(bytesPerPixel * pixels, signal);
    try {
      const reply = await this.#ask(bytes, scheme);
      if (reply.kind === "refused") throw new ImageProblem(reply.reason, "the image cannot be decoded");
      return mmHashOf(Buffer.from(reply.digest));
    } finally {
      giveBack();
    }
  }

  async close(): Promise<void> {
    await this.#thread?.terminate();
  }

  #ask(bytes: Buffer, scheme: PixelScheme): Promise<DecodeReply> {
    const reply = Promise.withResolvers<DecodeReply>();
    const { pixelsMax, secondsMax } = this.#limits;
    const job: DecodeJob = { id: ++this.#lastId, bytes, scheme, limits: { pixelsMax, secondsMax } };
    this.#pending.set(job.id, reply);
    const thread = this.#thread ?? this.#start();
    thread.ref();
    thread.postMessage(job, [bytes.buffer as ArrayBuffer]);
    return reply.promise;
  }

  #start(): Worker {
    const thread = new Worker(new URL("./decode-thread.ts", import.meta.url), { name: "decode" });
    thread.on("message", (reply: DecodeReply) => {
      this.#pending.get(reply.id)?.resolve(reply);
      this.#pending.delete(reply.id);
      if (this.#pending.size === 0) thread.unref();
    });
    thread.on("error", (error) => this.#fail(thread, error));
    thread.on("exit", () => this.#fail(thread, new Error("the decoding thread ended")));
    this.#thread = thread;
    return thread;
  }

  #fail(thread: Worker, cause: Error): void {
    if (this.#thread === thread) this.#thread = undefined;
    for (const reply of this.#pending.values()) reply.reject(new ImageProblem("decoder-lost", "the decoding thread failed", { cause }));
    this.#pending.clear();
  }
}
