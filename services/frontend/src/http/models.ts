// GET /v1/models, /v1/models/{id} and /v1/models/{id}/ready.
//
// An id may contain slashes, plain or percent-encoded. Names that end in `__internal` are those of workers behind a router: they
// can be asked for, and are listed only on request.
// Source: Dynamo 1.6.1; evidence: golden frontend get.*, get2.*, lifecycle-1.6.1 (kill_worker).
import { AppError } from "@mm-router/protocol";
import type { ModelSet, ModelSummary } from "../models/model-set.ts";
import { notReady, type WorkerSet } from "../models/worker-set.ts";

export interface ModelListOptions {
  readonly listInternal: boolean;
  /** Shown instead of the cards' context length; nothing is enforced by it (`DYN_CONTEXT_WINDOW`). */
  readonly contextWindow: number | undefined;
  /** Shown beside it (`DYN_MAX_OUTPUT_TOKENS`). */
  readonly maxOutputTokens: number | undefined;
}

const internalSuffix = "__internal";

export function modelList(models: ModelSet, options: ModelListOptions): object {
  const data = shownModels(models, options).map(({ name, contextLength }) => modelEntry(name, contextLength, options));
  return { object: "list", data };
}

function shownModels(models: ModelSet, { listInternal }: ModelListOptions): ModelSummary[] {
  return models.list().filter(({ name }) => listInternal || !name.endsWith(internalSuffix));
}

/** As Anthropic lists them, for clients that send `anthropic-version`. */
export function anthropicModelList(models: ModelSet, options: ModelListOptions): object {
  const data = shownModels(models, options).map(({ name, contextLength }) => anthropicEntry(name, contextLength, options));
  return { data, has_more: false, first_id: data.at(0)?.id ?? null, last_id: data.at(-1)?.id ?? null };
}

/** @throws AppError `model_not_found`, or `no_instances` for one that nobody can serve now */
export function modelById(id: string, models: ModelSet, options: ModelListOptions): object {
  return modelEntry(id, routableContextLength(id, models), options);
}

/** @throws AppError as `modelById` */
export function anthropicModelById(id: string, models: ModelSet, options: ModelListOptions): object {
  return anthropicEntry(id, routableContextLength(id, models), options);
}

function routableContextLength(id: string, models: ModelSet): number {
  const sets = knownSets(id, models);
  if (!sets.some(isRoutable)) throw notReady(id);
  return sets[0]!.contextLength;
}

export interface Readiness {
  readonly ready: boolean;
  readonly body: object;
}

/** @throws AppError `model_not_found` */
export function modelReadiness(id: string, models: ModelSet): Readiness {
  const sets = knownSets(id, models);
  const ready = sets.some(isRoutable);
  const namespaces = Object.fromEntries(sets.map((set) => [set.address.namespace, namespaceReadiness(set)]));
  const reason = ready ? {} : { reason: "no namespace has all required worker types live" };
  return { ready, body: { model: id, ready, ...reason, namespaces } };
}

function namespaceReadiness(set: WorkerSet): object {
  const workers = set.available().length;
  const reason = workers > 0 ? {} : { reason: "missing worker types: aggregated" };
  return {
    ready: workers > 0,
    ...reason,
    worker_types: { aggregated: { workers, needs: [] } },
    present: workers > 0 ? ["aggregated"] : [],
    missing_worker_types: workers > 0 ? [] : ["aggregated"],
  };
}

function modelEntry(id: string, contextLength: number, { contextWindow, maxOutputTokens }: ModelListOptions): object {
  return {
    id,
    object: "model",
    created: Math.floor(Date.now() / 1000),
    owned_by: "nvidia",
    context_window: contextWindow ?? contextLength,
    ...(maxOutputTokens !== undefined && { max_output_tokens: maxOutputTokens }),
  };
}

function anthropicEntry(id: string, contextLength: number, { contextWindow, maxOutputTokens }: ModelListOptions) {
  return {
    id,
    display_name: id,
    type: "model",
    created_at: `${new Date().toISOString().slice(0, 19)}Z`,
    max_input_tokens: contextWindow ?? contextLength,
    ...(maxOutputTokens !== undefined && { max_tokens: maxOutputTokens }),
  };
}

function knownSets(id: string, models: ModelSet): readonly WorkerSet[] {
  const sets = models.named(id);
  if (sets.length === 0) throw new AppError("model_not_found", "Model not found");
  return sets;
}

function isRoutable(set: WorkerSet): boolean {
  return set.available().length > 0;
}
