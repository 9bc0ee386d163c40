// A bounded number of requests, a bounded number at a time.

/** Runs `count` tasks, `concurrency` at once; returns each one's duration in ms. */
export async function load(count: number, concurrency: number, task: (index: number) => Promise<void>): Promise<number[]> {
  const durations: number[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      const from = performance.now();
      await task(index);
      durations.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return durations;
}
