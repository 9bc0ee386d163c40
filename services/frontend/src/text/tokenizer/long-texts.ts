// Long texts → token ids, off the event loop and within bounds.
//
//   event loop ── text ──► long-text-thread.ts ── ids ──► event loop
//
// Four megabytes of plain text take a second, four megabytes of one word take several: other requests must not wait for them.
//
// I1  One text at a time, each within `secondsMax`; one that takes longer ends with its thread and hurts no other.
// I2  The thread starts with the first text, keeps no process alive, and ends when it has been idle.
import { Worker } from "node:worker_threads";
import { AppError } from "@mm-router/protocol";
import type { ThreadData } from "./long-text-thread.ts";

export interface LongTextLimits {
  /** For one text, the start of the thread included. */
  readonly secondsMax: number;
  /** Texts that may wait. */
  readonly waitingMax: number;
  readonly idleSecondsMax: number;
}

const defaultLimits: LongTextLimits = { secondsMax: 60, waitingMax: 64, idleSecondsMax: 60 };

export class LongTexts {
  readonly #data: ThreadData;
  readonly #limits: LongTextLimits;
  #thread: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** Settles with the last text that came. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(data: ThreadData, limits: LongTextLimits = defaultLimits) {
    this.#data = data;
    this.#limits = limits;
  }

  /** @throws AppError `overloaded` when too many texts wait, `invalid_request` when this one takes too long, `internal` */
  async encode(text: string): Promise<Uint32Array> {
    const { waitingMax } = this.#limits;
    if (this.#waiting >= waitingMax) throw new AppError("overloaded", `${waitingMax} long prompts are waiting to be tokenized`);
    this.#waiting++;
    const ids = this.#last.then(() => this.#encodeNext(text));
    this.#last = ids.catch(() => undefined); // the next one comes after it, whatever became of it
    try {
      return await ids;
    } finally {
      this.#waiting--;
      if (this.#waiting === 0) this.#rest();
    }
  }

  async #encodeNext(text: string): Promise<Uint32Array> {
    const thread = this.#awake();
    const { promise, resolve, reject } = Promise.withResolvers<Uint32Array>();
    const lost = (cause: unknown) => reject(new AppError("internal", "the tokenizer thread failed", { cause }));
    const ended = () => lost(new Error("it ended"));
    const { secondsMax } = this.#limits;
    const timer = setTimeout(
      () => reject(new AppError("invalid_request", `the prompt takes more than ${secondsMax} seconds to tokenize`)),
      secondsMax * 1000,
    );
    thread.once("message", resolve).once("error", lost).once("exit", ended);
    thread.postMessage(text);
    try {
      return await promise;
    } catch (error) {
      this.#drop(thread);
      throw error;
    } finally {
      clearTimeout(timer);
      thread.off("message", resolve).off("error", lost).off("exit", ended);
    }
  }

  #awake(): Worker {
    clearTimeout(this.#idle);
    this.#thread ??= new Worker(new URL("./long-text-thread.ts", import.meta.url), { name: "tokenizer", workerData: this.#data });
    this.#thread.ref();
    return this.#thread;
  }

  #rest(): void {
    const thread = this.#thread;
    if (thread === undefined) return;
    thread.unref();
    this.#idle = setTimeout(() => this.#drop(thread), this.#limits.idleSecondsMax * 1000).unref();
  }

  #drop(thread: Worker): void {
    if (this.#thread === thread) this.#thread = undefined;
    thread.on("error", () => undefined); // it is given up
    void thread.terminate();
  }
}
