import { type BlockMmInfo, blockMmInfoOf } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { blockHashes } from "./block-hash.ts";
import { sequenceHashes } from "./sequence-hash.ts";

type Tokens = readonly number[] | { readonly n: number; readonly mul: number; readonly add: number; readonly mod: number };

interface HashCase {
  readonly name: string;
  readonly tokens: Tokens;
  readonly block_size: number;
  readonly block_mm_infos?: readonly unknown[] | null;
  readonly lora_name?: string | null;
  readonly cache_namespace?: string | null;
  readonly is_eagle?: boolean;
  readonly expect: readonly { local_hashes: readonly string[] | { count: number; first: string[]; last: string[]; poly31: string } }[];
}

const { cases } = golden<{ cases: HashCase[] }>("kv/hashes.json");

function tokensOf(tokens: Tokens): Uint32Array {
  if (!("n" in tokens)) return Uint32Array.from(tokens);
  const { n, mul, add, mod } = tokens;
  return Uint32Array.from({ length: n }, (_, i) => Number((BigInt(i) * BigInt(mul) + BigInt(add)) % BigInt(mod)));
}

function hashesOf(each: HashCase): bigint[] {
  const infos = each.block_mm_infos?.map((info) => (info === null ? null : blockMmInfoOf(info)));
  return [
    ...blockHashes({
      tokens: tokensOf(each.tokens),
      blockSize: each.block_size,
      blockMmInfos: infos,
      loraName: each.lora_name,
      cacheNamespace: each.cache_namespace,
      isEagle: each.is_eagle,
    }),
  ];
}

function matches(hashes: readonly bigint[], expected: HashCase["expect"][number]["local_hashes"]): boolean {
  const text = hashes.map(String);
  if (Array.isArray(expected)) return text.join() === expected.join();
  const { count, first, last, poly31 } = expected as { count: number; first: string[]; last: string[]; poly31: string };
  const folded = hashes.reduce((sum, hash) => BigInt.asUintN(64, 31n * sum + hash), 0n);
  return (
    hashes.length === count &&
    text.slice(0, 4).join() === first.join() &&
    text.slice(-4).join() === last.join() &&
    String(folded) === poly31
  );
}

describe("blockHashes", () => {
  it("equals the real function of every release in every case", () => {
    expect(
      cases.filter((each) => !each.expect.every(({ local_hashes }) => matches(hashesOf(each), local_hashes))).map(({ name }) => name),
    ).toEqual([]);
    expect(cases.length).toBe(309);
  });

  const info = (...hashes: bigint[]): BlockMmInfo => blockMmInfoOf({ mm_objects: hashes.map((mm_hash) => ({ mm_hash, offsets: [] })) });
  const tokens = fc.uint8Array({ minLength: 1, maxLength: 64 }).map((bytes) => Uint32Array.from(bytes));

  it("gives a block the same hash wherever it stands and whatever follows it", () => {
    fc.assert(
      fc.property(tokens, fc.integer({ min: 1, max: 8 }), fc.nat(7), (all, blockSize, cut) => {
        const hashes = blockHashes({ tokens: all, blockSize });
        const from = Math.min(cut, hashes.length);
        expect([...blockHashes({ tokens: all.subarray(from * blockSize), blockSize })]).toEqual([...hashes.slice(from)]);
        expect([...blockHashes({ tokens: all.subarray(0, from * blockSize), blockSize })]).toEqual([...hashes.slice(0, from)]);
      }),
    );
  });

  it("sees the images of a block as a set with repetitions, in any order", () => {
    fc.assert(
      fc.property(tokens, fc.array(fc.bigInt(0n, 2n ** 64n - 1n), { minLength: 1, maxLength: 5 }), (all, images) => {
        const hash = (...order: bigint[]) => blockHashes({ tokens: all, blockSize: all.length, blockMmInfos: [info(...order)] })[0];
        expect(hash(...[...images].reverse())).toBe(hash(...images));
        expect(hash(...images, images[0]!)).not.toBe(hash(...images));
      }),
    );
  });
});

it("chains sequence hashes as real routers tell them to their replicas", () => {
  const tokens = Uint32Array.from({ length: 12 }, (_, i) => i);
  const chain = (loraName?: string) => [...sequenceHashes(blockHashes({ tokens, blockSize: 4, loraName }))];
  expect(chain()).toEqual([9143094415614847814n, 9510318385840434533n, 16998148715716822651n]);
  expect(chain("adapter-a")).toEqual([6665157333201000639n, 13351519314849170528n, 9730552557794562145n]);
});
