/**
 * `Promise.all(items.map(work))` with at most `parallel` of them in work; order kept.
 *
 * @throws what the first failing one throws; those in work are not waited for, give them a signal
 */
export async function boundedMap<T, R>(items: readonly T[], parallel: number, work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  const queue = items.entries();
  const lane = async () => {
    for (const [index, item] of queue) results[index] = await work(item, index);
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, lane));
  return results;
}
