// GET and POST /busy_threshold: from which load on a model's workers get nothing more.
//
//   GET                         {"thresholds": [{"model", three thresholds}, …]}
//   POST {"model"}              its thresholds; nulls for one that nobody serves
//   POST {"model", "active_…"}  sets them at once
//
// Source: Dynamo 1.6.1; evidence: golden frontend busy.*. Errors are {"error": sentence}.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import type { BusyThresholds, BusyWorkers } from "../models/busy-workers.ts";
import type { ModelSet } from "../models/model-set.ts";
import { decodeShape, f32, struct, text, u64 } from "../preprocess/shape.ts";
import { f32Display } from "../preprocess/f32.ts";

const decode = struct(
  "BusyThresholdRequest",
  { model: text },
  { active_decode_blocks_threshold: f32, active_prefill_tokens_threshold: u64, active_prefill_tokens_threshold_frac: f32 },
);

const unset: BusyThresholds = { decodeBlocks: undefined, prefillTokens: undefined, prefillTokensFrac: undefined };

/** Embedding models have no load to speak of and are left out. */
export function busyThresholds(models: ModelSet, busy: BusyWorkers): object {
  const names = models.names().filter((name) => models.named(name).some(({ kinds }) => kinds.has("chat") || kinds.has("completion")));
  return { thresholds: names.map((name) => thresholdsBody(name, busy.thresholdsOf(name))) };
}

/** @throws AppError `invalid_request` (status 422 for another shape), `model_not_found` */
export function askBusyThreshold(body: LosslessJson, models: ModelSet, busy: BusyWorkers): object {
  const { model, ...given } = decoded(body);
  const isKnown = models.named(model).length > 0;
  if (Object.keys(given).length === 0) return thresholdsBody(model, isKnown ? busy.thresholdsOf(model) : unset);
  const changes = {
    decodeBlocks: fraction("active_decode_blocks_threshold", given.active_decode_blocks_threshold, 1),
    prefillTokens: given.active_prefill_tokens_threshold === undefined ? undefined : Number(given.active_prefill_tokens_threshold),
    prefillTokensFrac: fraction("active_prefill_tokens_threshold_frac", given.active_prefill_tokens_threshold_frac, Infinity),
  };
  if (!isKnown) throw new AppError("model_not_found", `Model '${model}' not found. Thresholds can only be set for discovered models.`);
  return thresholdsBody(model, busy.set(model, changes));
}

function decoded(body: LosslessJson): ReturnType<typeof decode> {
  try {
    return decodeShape(decode, body);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError("invalid_request", error.message, { cause: error, status: 422 });
  }
}

function fraction(name: string, value: number | undefined, max: number): number | undefined {
  if (value === undefined) return undefined;
  if (value >= 0 && value <= max) return Number(f32Display(value));
  const range = max === Infinity ? "not be negative" : `be between 0.0 and ${max}.0`;
  throw new AppError("invalid_request", `${name} must ${range}, got ${f32Display(value)}`);
}

function thresholdsBody(model: string, { decodeBlocks, prefillTokens, prefillTokensFrac }: BusyThresholds): object {
  return {
    model,
    active_decode_blocks_threshold: decodeBlocks ?? null,
    active_prefill_tokens_threshold: prefillTokens ?? null,
    active_prefill_tokens_threshold_frac: prefillTokensFrac ?? null,
  };
}
