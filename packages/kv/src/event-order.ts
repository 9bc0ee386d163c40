// The order of one rank's events: which to apply, which came twice, and where some are missing.
//
//   id = cursor + 1   next          apply
//   id ≤ cursor       duplicate     drop
//   id > cursor + 1   gap           some are lost, or another source has them (recovery query)
//   no cursor yet     first         apply if it is the very first id of its release, else what came before is unknown
//
// Ids are consecutive per rank from 1.0 on, counted from 0 (1.0) or 1 (≥ 1.2). In 0.9 they are the engine's own: they grow, but skip what
// the worker does not publish, so there a jump means nothing and only the stream's own sequence tells of loss. Source: kv.md §4.7, §5.1.
import type { U64 } from "@mm-router/protocol";

export type EventVerdict = "next" | "duplicate" | "gap" | "first";

export class EventOrder {
  private last: U64 | undefined;

  /** The last applied id; undefined: nothing is known of the rank's past. */
  get cursor(): U64 | undefined {
    return this.last;
  }

  /** What an id means now; changes nothing. @param consecutive whether every id follows the one before */
  judge(eventId: U64, consecutive: boolean): EventVerdict {
    if (this.last === undefined) return "first";
    if (eventId <= this.last) return "duplicate";
    return !consecutive || eventId === this.last + 1n ? "next" : "gap";
  }

  /** Everything up to this id is applied. */
  advance(eventId: U64): void {
    this.last = eventId;
  }

  /** Nothing is known any more. */
  reset(): void {
    this.last = undefined;
  }
}
