// Cells that a run meets only when it names its releases (MMR_TEST_RELEASES): they show for one more release or plane what others show in CI.

export function withFurther<T>(cells: readonly T[], further: readonly T[]): readonly T[] {
  return process.env.MMR_TEST_RELEASES === undefined ? cells : [...cells, ...further];
}
