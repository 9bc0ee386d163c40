// Work in pieces that leaves the event loop to others in between.
import { setImmediate as turn } from "node:timers/promises";

/** The pieces in their order, made when they are asked for: the first at once, each other in a turn of the event loop of its own. */
export async function* onePerTurn<T>(pieces: Iterable<T>): AsyncGenerator<T> {
  let isFirst = true;
  for (const piece of pieces) {
    if (!isFirst) await turn();
    isFirst = false;
    yield piece;
  }
}
