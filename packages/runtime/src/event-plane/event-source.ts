// Where events come from: one interface over NATS core and JetStream.
//
//   message     fires for every message, in the order of its source
//   caught_up   fires once what was there at the (re)start has been given, also when nothing was there
//   maybe_lost  fires when messages may be missing from here on; does not fire for losses between publisher and server, which only
//               the ids inside the events can tell
//
// I1  Items are handed out one at a time; a JetStream source fetches at the consumer's pace, a core source queues up to a limit.
// I2  Breaking the loop or `close()` ends the source; after it nothing comes.

export type EventSourceItem = EventMessage | { readonly kind: "caught_up" } | { readonly kind: "maybe_lost"; readonly reason: LossReason };

export interface EventMessage {
  readonly kind: "message";
  readonly subject: string;
  readonly bytes: Uint8Array;
  /** JetStream: the stream's sequence; core: counted from 1. */
  readonly sequence: number;
}

/**
 * `reconnected`: what was published on core subjects in the meantime may be gone. `overflow`: the consumer was too slow. `stream_recreated`: the stream is
 * another one, its store was wiped or it was deleted. `evicted`: the stream dropped messages that had not been read.
 */
export type LossReason = "reconnected" | "overflow" | "stream_recreated" | "evicted";

export interface StreamPosition {
  readonly stream: string;
  /** When the stream was made: another one of the same name is another stream. */
  readonly created: string;
  readonly sequence: number;
  /** The run of the server: in another one messages may have been sent that nobody stored. */
  readonly serverId: string;
}

export interface EventSource extends AsyncIterable<EventSourceItem> {
  /** Messages that are stored and have not been handed out yet; undefined where nothing is stored. */
  readonly lag?: number;
  /** Up to where its messages have been handled: a later source that begins there misses nothing. undefined: nothing is stored. */
  readonly position?: StreamPosition | undefined;
  close(): void;
}
