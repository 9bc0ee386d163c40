// What the page saw while it was open: totals by time, for rates over a minute and for the small curves.

/** @typedef {import("../src/page/overview-shape.ts").Overview} Overview */
/** @typedef {{ readonly atMs: number, readonly overview: Overview }} Point */

const keptMs = 180_000;
const windowMs = 60_000;

export class History {
  /** @type {Point[]} */
  #points = [];

  /** @param {Overview} overview */
  add(overview) {
    const atMs = performance.now();
    this.#points = [...this.#points.filter((point) => atMs - point.atMs < keptMs), { atMs, overview }];
  }

  /** The oldest point of the last minute; undefined when there is one point alone. */
  get minuteAgo() {
    const now = this.#points.at(-1);
    if (now === undefined) return undefined;
    const first = this.#points.find((point) => now.atMs - point.atMs <= windowMs);
    return first === now ? undefined : first;
  }

  /** @param {(overview: Overview) => number} valueOf */
  values(valueOf) {
    return this.#points.map(({ overview }) => valueOf(overview));
  }
}
