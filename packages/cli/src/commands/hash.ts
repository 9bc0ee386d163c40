// `mmr hash`: block and sequence hashes of tokens.
//
//   {"release"?,"tokens":[…],"block_size":32,"block_mm_infos":[null|{"mm_objects":[{"mm_hash","offsets"}]}]?,"lora_name"?,
//    "cache_namespace"?,"is_eagle"?}   →   {"block_hashes":["…"],"sequence_hashes":["…"]}
import { blockHashes, sequenceHashes } from "@mm-router/kv";
import { AppError, blockMmInfoOf, decodeAs, type Dialect, dialectOf } from "@mm-router/protocol";
import { z } from "zod";
import type { LineCommand } from "../jsonl.ts";

export const name = "hash";

const u32 = z.int().min(0).max(0xffff_ffff);

export const schema = z.object({
  release: z.string().optional(),
  tokens: z.array(u32).transform((tokens) => Uint32Array.from(tokens)),
  block_size: z.int().min(1).max(0xffff_ffff),
  block_mm_infos: z.array(z.unknown().transform((info) => (info === null ? null : blockMmInfoOf(info)))).nullish(),
  lora_name: z.string().nullish(),
  cache_namespace: z.string().nullish(),
  is_eagle: z.boolean().nullish(),
});

export function createCommand(options: { readonly release?: string } = {}): LineCommand {
  return (json) => {
    const line = decodeAs(schema, json, "hash");
    const release = line.release ?? options.release;
    if (release !== undefined) refuseUnknown(line, dialectOf(release));
    const hashes = blockHashes({
      tokens: line.tokens,
      blockSize: line.block_size,
      blockMmInfos: line.block_mm_infos ?? undefined,
      loraName: line.lora_name,
      cacheNamespace: line.cache_namespace,
      isEagle: line.is_eagle ?? false,
    });
    return { block_hashes: Array.from(hashes, String), sequence_hashes: Array.from(sequenceHashes(hashes), String) };
  };
}

/** A release whose function does not take an argument has no hash for it. */
function refuseUnknown(line: z.infer<typeof schema>, dialect: Dialect): void {
  const asked: readonly (readonly [member: string, given: boolean, known: boolean])[] = [
    ["block_mm_infos", line.block_mm_infos?.some((info) => info !== null) ?? false, dialect.eventHasMmInfo],
    ["lora_name", Boolean(line.lora_name), dialect.hashesLora],
    ["cache_namespace", Boolean(line.cache_namespace), dialect.hashesCacheSalt],
    ["is_eagle", line.is_eagle ?? false, dialect.hashesEagle],
  ];
  const unknown = asked.find(([, given, known]) => given && !known);
  if (unknown !== undefined) throw new AppError("unsupported", `release ${dialect.release} does not hash ${unknown[0]}`);
}
