// What etcd holds, read through its JSON gateway: nothing of this is shared with the client under test.
//
// Keys are text; ids in keys are hex, see worker.md's and wire.md's facts in packages/protocol/src/names.ts.

export interface EtcdEntry {
  readonly key: string;
  readonly value: string;
  /** Lease that the key hangs on; 0n for none. */
  readonly lease: bigint;
}

/** All entries below a prefix, in key order. */
export async function etcdEntries(etcdUrl: string, prefix: string): Promise<readonly EtcdEntry[]> {
  const answer = await fetch(`${etcdUrl}/v3/kv/range`, {
    method: "POST",
    body: JSON.stringify({ key: toBase64(prefix), range_end: toBase64(nextPrefix(prefix)) }),
    signal: AbortSignal.timeout(5_000),
  });
  const { kvs = [] } = (await answer.json()) as { kvs?: { key: string; value?: string; lease?: string }[] };
  return kvs.map(({ key, value = "", lease = "0" }) => ({ key: fromBase64(key), value: fromBase64(value), lease: BigInt(lease) }));
}

/** Ids of the instances of an endpoint that also have a model card, in key order: what a frontend would call. */
export async function registeredInstances(etcdUrl: string, endpointPath: string): Promise<readonly bigint[]> {
  const idsBelow = async (root: string): Promise<bigint[]> => {
    const entries = await etcdEntries(etcdUrl, `${root}/${endpointPath}/`);
    return entries.map(({ key }) => BigInt(`0x${key.slice(key.lastIndexOf("/") + 1)}`));
  };
  const [instances, cards] = await Promise.all([idsBelow("v1/instances"), idsBelow("v1/mdc")]);
  return instances.filter((id) => cards.includes(id));
}

const toBase64 = (text: string): string => Buffer.from(text).toString("base64");
const fromBase64 = (text: string): string => Buffer.from(text, "base64").toString("utf8");

/** End of the range of all keys that start with the prefix: its last character plus one. */
function nextPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
