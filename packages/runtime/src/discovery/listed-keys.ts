// All keys under a prefix as they are now, for tools that look once.
import type { Discovery } from "./discovery.ts";

export async function listedKeys(discovery: Pick<Discovery, "watch">, prefix: string): Promise<ReadonlyMap<string, string>> {
  const keys = new Map<string, string>();
  const watch = discovery.watch(prefix, { put: (key, value) => void keys.set(key, value), delete: (key) => void keys.delete(key) });
  await watch.ready;
  watch.close();
  return keys;
}
