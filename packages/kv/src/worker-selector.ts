// Costs → one rank.
//
// Temperature 0: the cheapest. Upstream breaks ties by chance (≥ 1.4) or by tree size (≤ 1.0); any of the tied is right.
// Temperature T: rank i is drawn with p ∝ exp(−cost / ((dearest − cheapest) · T)); all equal → uniform. Source: kv.md §8.2, §8.3.

/** Indexes of the lowest cost, ascending; at least one. */
export function cheapest(costs: readonly number[]): number[] {
  const least = Math.min(...costs);
  return costs.flatMap((cost, index) => (cost === least ? [index] : []));
}

/**
 * An index drawn by temperature.
 *
 * @param temperature  > 0
 * @param random       uniform in [0, 1)
 */
export function drawByTemperature(costs: readonly number[], temperature: number, random: () => number): number {
  const least = Math.min(...costs);
  const range = Math.max(...costs) - least;
  const weights = costs.map((cost) => (range === 0 ? 1 : Math.exp(-(cost - least) / (range * temperature))));
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [index, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return index;
  }
  return costs.length - 1; // rounding ate the last bit
}
