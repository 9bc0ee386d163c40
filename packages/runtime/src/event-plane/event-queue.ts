// Messages that wait for whoever reads a source; what finds no room is told as a loss, before the next message that does.
import { BoundedQueue } from "../flow/index.ts";
import type { EventSourceItem, LossReason } from "./event-source.ts";

export class EventQueue {
  readonly #queue: BoundedQueue<EventSourceItem>;
  #sequence = 0;
  #loss: LossReason | undefined;

  constructor(max: number) {
    this.#queue = new BoundedQueue(max);
    this.#queue.offer({ kind: "caught_up" });
  }

  message(subject: string, bytes: Uint8Array): void {
    this.#take({ kind: "message", subject, bytes, sequence: ++this.#sequence });
  }

  lost(reason: LossReason): void {
    this.#take({ kind: "maybe_lost", reason });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<EventSourceItem, void, void> {
    yield* this.#queue;
  }

  close(): void {
    this.#queue.clear();
    this.#queue.close();
  }

  #take(item: EventSourceItem): void {
    if (this.#loss !== undefined && this.#queue.offer({ kind: "maybe_lost", reason: this.#loss })) this.#loss = undefined;
    if (!this.#queue.offer(item)) this.#loss = "overflow";
  }
}
