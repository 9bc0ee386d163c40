// Stop strings in text that arrives in pieces.
//
//   stops ["STOP"]   pieces "x S", "T", "OP y"  →  "x ", "", stopped "STOP"
//                    pieces "x S", "T", "AY"    →  "x ", "", "STAY"
//
// Source: Dynamo 1.6.1, seen running: the longest tail that may still become a stop string is held back; nothing of a stop
// string is ever sent; of several the first that completes wins. With `includeStop` nothing is held back and the stop string
// itself is sent.
// I1  Pieces in, deltas out: together the text up to the stop string, however it is cut.

export interface StopJailOptions {
  /** Not empty, none of them "". */
  readonly stops: readonly string[];
  /** `include_stop_str_in_output` */
  readonly includeStop: boolean;
}

export interface JailedText {
  /** What may be sent now. */
  readonly text: string;
  /** The stop string that was completed; nothing more is to be pushed. */
  readonly stopped?: string;
}

interface Match {
  readonly stop: string;
  readonly start: number;
  readonly end: number;
}

export class StopJail {
  readonly #stops: readonly string[];
  readonly #includesStop: boolean;
  readonly #longest: number;
  /** Held text; with `includeStop`, text that was sent and may begin a stop string. */
  #held = "";

  constructor({ stops, includeStop }: StopJailOptions) {
    this.#stops = stops;
    this.#includesStop = includeStop;
    this.#longest = Math.max(0, ...stops.map((stop) => stop.length));
  }

  push(piece: string): JailedText {
    const text = this.#held + piece;
    const match = this.#firstCompleted(text);
    if (this.#includesStop) return this.#passed(text, piece, match);
    if (match !== undefined) return { text: text.slice(0, match.start), stopped: match.stop };
    this.#held = this.#heldTail(text);
    return { text: text.slice(0, text.length - this.#held.length) };
  }

  /** What was held back: the stream ended. */
  flush(): string {
    const held = this.#includesStop ? "" : this.#held;
    this.#held = "";
    return held;
  }

  #passed(text: string, piece: string, match: Match | undefined): JailedText {
    const sent = text.length - piece.length;
    if (match !== undefined) return { text: text.slice(sent, match.end), stopped: match.stop };
    this.#held = text.slice(Math.max(0, text.length - this.#longest + 1));
    return { text: piece };
  }

  /** The stop string that ends first; of those that end together the one that begins first. */
  #firstCompleted(text: string): Match | undefined {
    let first: Match | undefined;
    for (const stop of this.#stops) {
      const start = text.indexOf(stop);
      const end = start + stop.length;
      if (start >= 0 && (first === undefined || end < first.end || (end === first.end && start < first.start)))
        first = { stop, start, end };
    }
    return first;
  }

  /** The longest tail that is the beginning of a stop string. */
  #heldTail(text: string): string {
    for (let start = Math.max(0, text.length - this.#longest + 1); start < text.length; start++) {
      const tail = text.slice(start);
      if (this.#stops.some((stop) => stop.length > tail.length && stop.startsWith(tail))) return tail;
    }
    return "";
  }
}
