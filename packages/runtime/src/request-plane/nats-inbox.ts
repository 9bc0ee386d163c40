// Requests over NATS whose replies come to one subscription of the process.
//
//   request ── reply to _INBOX.X.n ──▶ server ── n ──▶ the promise that waits under n
//
// The client library's own request makes an error with its stack for each reply, also the good ones; per routed request that was a
// twentieth of the router's work.
// I1  A reply settles its request once; later ones are dropped.
// I2  When the connection is closed for good nobody waits on.
import { type Msg, type MsgHdrs, type NatsConnection, createInbox } from "@nats-io/transport-node";

/** Why no reply came. */
export type Unanswered = "no responders" | "late" | "closed";

export class NatsInbox {
  readonly #connection: NatsConnection;
  readonly #prefix = `${createInbox()}.`;
  readonly #waiting = new Map<string, (outcome: Uint8Array | Unanswered) => void>();
  #next = 0;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
    connection.subscribe(`${this.#prefix}*`, { callback: (error, message) => void (error ?? this.#receive(message)) });
    void connection.closed().then(() => this.#end());
  }

  /** The reply's payload, or why there is none. */
  request(subject: string, payload: Uint8Array, timeoutMs: number, headers?: MsgHdrs): Promise<Uint8Array | Unanswered> {
    const name = (this.#next++).toString(36);
    const { promise, resolve } = Promise.withResolvers<Uint8Array | Unanswered>();
    const late = setTimeout(() => this.#settle(name, "late"), timeoutMs);
    this.#waiting.set(name, (outcome) => {
      clearTimeout(late);
      resolve(outcome);
    });
    try {
      this.#connection.publish(subject, payload, { reply: this.#prefix + name, ...(headers && { headers }) });
    } catch {
      this.#settle(name, "closed"); // or about to be: the library takes nothing any more
    }
    return promise;
  }

  #receive(message: Msg): void {
    const isRefusal = message.data.length === 0 && message.headers?.code === 503;
    this.#settle(message.subject.slice(this.#prefix.length), isRefusal ? "no responders" : message.data);
  }

  #settle(name: string, outcome: Uint8Array | Unanswered): void {
    const settle = this.#waiting.get(name);
    this.#waiting.delete(name);
    settle?.(outcome);
  }

  #end(): void {
    for (const name of this.#waiting.keys()) this.#settle(name, "closed");
  }
}
