// Which image dialect a worker uses, learnt from what it publishes where that is not what its card promised.
//
//   predicted as "in-vocab", block 3 published is another ─▶ predict again as "pad", "oov-s1" … ─▶ the one whose block 3 it is
//
// The card decides at first (multimodal.md §6.5); a release that is not known here, or a model type that a newer publisher substitutes,
// shows at the first image. A block hash has 64 bits: one that fits is proof.
import type { PredictionVerdict } from "@mm-router/kv";
import type { ImageDialect, InstanceId } from "@mm-router/protocol";
import type { Worker } from "../workers/worker.ts";

/** All full blocks of a prompt if the worker used this dialect; undefined when that cannot be said. */
export type PredictAs = (dialect: ImageDialect) => Promise<BigUint64Array | undefined>;

/** Where dialects are kept, for as long as the instance lives. */
export interface DialectPins {
  get(instanceId: InstanceId): Worker | undefined;
  pin(instanceId: InstanceId, dialect: ImageDialect): void;
}

const learnable: readonly ImageDialect[] = ["pad", "in-vocab", "oov-s1"];

/** The dialect in which the published block is the prompt's; undefined when it is none's. */
export async function dialectShownBy(
  { block, published }: Extract<PredictionVerdict, { kind: "different" }>,
  predicted: ImageDialect,
  predictAs: PredictAs,
): Promise<ImageDialect | undefined> {
  for (const dialect of learnable) {
    if (dialect === predicted) continue;
    const hashes = await predictAs(dialect);
    if (hashes?.[block] === published) return dialect;
  }
  return undefined;
}
