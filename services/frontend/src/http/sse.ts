// Server-sent events, written to the raw response.
//
//   data: {…}\n\n            an event
//   event: NAME\ndata: {…}\n\n  one with a name
//   event: NAME\n: text\ndata: {…}\n\n  an annotation: a comment for clients that read Dynamo's
//   :\n\n                    keep-alive while nothing else is said
//   data: [DONE]\n\n         the end
//
// I1  Events are gathered and go out with `flush`: one system call for all that one batch of tokens gave.
// I2  Nothing is written to a client that has not taken what came before; one that takes nothing for `stallMs` is cut off. One
//     that reads slowly is not: any byte that it takes counts.
// I3  Writing never fails and waiting never hangs: after the client left, events are dropped.
import type { ServerResponse } from "node:http";
import type { EventSink } from "../postprocess/streamed-answer.ts";

const sent = Promise.resolve();

export interface EventStreamOptions {
  /** Silence after which a comment is sent; 0 = never. */
  readonly keepAliveMs: number;
  /** How long a client may take nothing of what was sent (I2). */
  readonly stallMs: number;
}

export class EventStream implements EventSink {
  readonly #response: ServerResponse;
  readonly #stallMs: number;
  #pending = "";
  #besideAnnotations = "";
  #keepAlive: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, headers: Readonly<Record<string, string>>, { keepAliveMs, stallMs }: EventStreamOptions) {
    this.#response = response;
    this.#stallMs = stallMs;
    response.writeHead(200, { ...headers, "content-type": "text/event-stream", "cache-control": "no-cache" });
    response.flushHeaders(); // the client learns that its request is taken before the first token is there
    if (keepAliveMs > 0) this.#keepAlive = setInterval(() => this.#sayAlive(), keepAliveMs);
    response.once("close", () => clearInterval(this.#keepAlive));
  }

  data(json: string): void {
    this.#pending += `data: ${json}\n\n`;
  }

  named(event: string, json: string): void {
    this.#pending += `event: ${event}\ndata: ${json}\n\n`;
  }

  /** @param json of a chunk that tells nothing, which stands beside each annotation from now on */
  accompanyAnnotations(json: string): void {
    this.#besideAnnotations = `data: ${json}\n`;
  }

  annotation(event: string, comments: readonly string[]): void {
    const lines = comments.map((comment) => `: ${comment.replaceAll("\n", "\n: ")}\n`);
    this.#pending += `event: ${event}\n${lines.join("")}${this.#besideAnnotations}\n`;
  }

  flush(): Promise<void> {
    if (this.#pending === "" || this.#response.destroyed) return sent;
    const events = this.#pending;
    this.#pending = "";
    this.#keepAlive?.refresh();
    return this.#response.write(events) ? sent : this.#drained();
  }

  /** Sends what is left and the end mark. */
  end(): void {
    clearInterval(this.#keepAlive);
    if (this.#response.destroyed) return;
    this.#response.end(`${this.#pending}data: [DONE]\n\n`);
    this.#response.setTimeout(this.#stallMs); // an HTTP server's own timeouts do not look at answers that nobody takes
  }

  #sayAlive(): void {
    if (!this.#response.writableNeedDrain) this.#response.write(":\n\n");
  }

  #drained(): Promise<void> {
    const response = this.#response;
    response.setTimeout(this.#stallMs);
    return new Promise((resolve) => {
      const done = () => {
        response.setTimeout(0);
        response.off("drain", done).off("close", done);
        resolve();
      };
      response.once("drain", done).once("close", done);
    });
  }
}
