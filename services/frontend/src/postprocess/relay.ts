// The loop of an answer: frames from the worker in, parts of an answer out, one flush per batch that the socket gave.
//
//   worker ── frames ──▶ reader ── parts ──▶ answer ── flush ──▶ client
//                          │ done: the request's own rules ended every choice → the worker is told to stop
//
// I1  What was read before an error reaches the answer before the error does.
// I2  The answer's pace is the worker's: flush resolves when the client's socket takes more.
import { type Annotated, AppError, errorOf } from "@mm-router/protocol";
import type { ResponseStream } from "@mm-router/runtime";
import { itemOfFrame } from "./item-frame.ts";

/** Makes parts of an answer of a worker's items. */
export interface ItemReader<T> {
  /** @throws AppError for an item that ends the answer */
  read(data: unknown): T | undefined;
  /** Nothing that still comes matters. */
  readonly done: boolean;
}

export interface Answer<T> {
  add(part: T): void;
  /** An item without data that names an event: passed on as it is. */
  annotation(event: string, comments: readonly string[]): void;
  flush(): Promise<void>;
}

/**
 * Relays a stream until it ends or the reader is done.
 *
 * @throws AppError as the stream, or as the worker says; `worker_error` when there was not one item
 */
export async function relay<T>(stream: ResponseStream, reader: ItemReader<T>, answer: Answer<T>): Promise<void> {
  let items = 0;
  for await (const frames of stream) {
    try {
      for (const frame of frames) {
        items++;
        relayItem(itemOfFrame(frame), reader, answer);
        if (reader.done) break;
      }
    } finally {
      await answer.flush();
    }
    if (reader.done) break; // leaving the loop tells the worker
  }
  if (items === 0) throw new AppError("worker_error", "the worker ended the stream without an item");
}

function relayItem<T>(item: Annotated, reader: ItemReader<T>, answer: Answer<T>): void {
  const error = errorOf(item);
  if (error !== undefined) throw error;
  if (item.data === undefined) {
    if (item.event !== undefined) answer.annotation(item.event, item.comment ?? []);
    return;
  }
  const part = reader.read(item.data);
  if (part !== undefined) answer.add(part);
}
