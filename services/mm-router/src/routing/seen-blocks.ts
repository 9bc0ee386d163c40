// Which blocks were in a prompt before: what caches without limits would hold, against which the real ones are measured.
//
//   sequence hash ── low bits ──▶ one of 2^19 places, which the last hash that came there has        4 MB, whatever the traffic
//
// A sequence hash stands for its block and all before it: the last one that is known tells how many leading blocks are, so that a
// place taken by another hash costs nothing as a rule. Each router knows the prompts that came to it.
const places = 2 ** 19;
const mask = places - 1;

export class SeenBlocks {
  readonly #low = new Uint32Array(places);
  readonly #high = new Uint32Array(places);

  /**
   * Leading blocks of a prompt that an earlier one had. From now on it is an earlier one.
   *
   * @param hashes sequence hashes of its full blocks
   */
  see(hashes: BigUint64Array): number {
    const halves = new Uint32Array(hashes.buffer, hashes.byteOffset, 2 * hashes.length);
    let seen = 0;
    for (let block = 0; block < hashes.length; block++) {
      const low = halves[2 * block]!;
      const high = halves[2 * block + 1]!;
      const place = low & mask;
      if (this.#low[place] === low && this.#high[place] === high) {
        seen = block + 1;
      } else {
        this.#low[place] = low;
        this.#high[place] = high;
      }
    }
    return seen;
  }
}
