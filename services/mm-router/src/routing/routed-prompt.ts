// A prompt as one kind of worker caches it: the tokens that its events hash, as block hashes.
//
//   token_ids ── images? ──▶ analysis for the worker's dialect ──▶ routing tokens, infos per block ──▶ block hashes
//                  └ none ─────────────────────────────────────▶ the tokens as they are ──────────────┘
//
// Releases differ in what enters a hash (images, LoRA, cache salt): one prompt has as many forms as there are kinds of
// workers, nearly always one.
import { blockHashes, type ImageRange } from "@mm-router/kv";
import type { AppError, ImageDialect } from "@mm-router/protocol";
import type { AnalysisInput, ImageAnalyser, ImageModel } from "../multimodal/index.ts";
import { startsWithImage } from "../image-urls.ts";
import { frontendTokensOf, messagesOf, processorOptionsOf, type ReceivedRequest } from "../received-request.ts";
import type { Worker } from "../workers/worker.ts";
import { exact, type Quality } from "./degrade.ts";
import type { PredictAs } from "./image-dialects.ts";

export interface RoutedPrompt {
  /** What the worker has to compute: every token of the prompt, images expanded as far as that is known. */
  readonly islTokens: number;
  /** Of the full blocks that are sure. */
  readonly blockHashes: BigUint64Array;
  readonly quality: Quality;
  /** Of a prompt with images that is exact: all its full blocks, to be compared with what the worker publishes. */
  readonly predicted?: BigUint64Array;
  /** The same if the worker used another image dialect. */
  readonly predictAs?: PredictAs;
  /** Leading blocks without a token of an image. */
  readonly textBlocks?: number;
  /** Of the images that could be placed, in prompt order. */
  readonly imageRanges?: readonly ImageRange[];
  /** Names that we chose for the images; the worker must be told them. */
  readonly mmHashes?: readonly string[];
  /** Why workers of this kind must not get the request. */
  readonly refusal?: AppError;
}

export interface PromptDeps {
  readonly analyser: Pick<ImageAnalyser, "analyse">;
  readonly model: ImageModel;
  readonly blockSize: number;
}

/** What decides about a prompt's form, of one kind of worker. */
export type PromptForm = Pick<Worker, "dialect" | "imageDialect" | "isEagle" | "promptTokensMax">;

/** Equal for workers for which this request has the same form. */
export function formKey({ routing, images }: ReceivedRequest, { dialect, imageDialect, isEagle, promptTokensMax }: PromptForm): string {
  const eagle = isEagle ? "eagle" : "";
  const lora = routing.lora_name && dialect.hashesLora ? "lora" : "";
  const salt = routing.cache_salt && dialect.hashesCacheSalt ? "salt" : "";
  const text = eagle + lora + salt;
  return images.length > 0 ? `${text}${dialect.line}${imageDialect}${promptTokensMax ?? ""}` : text;
}

/** @throws the signal's reason when the caller left; anything else is a fault of this program */
export async function routedPrompt(
  request: ReceivedRequest,
  form: PromptForm,
  deps: PromptDeps,
  signal: AbortSignal,
): Promise<RoutedPrompt> {
  const { routing, tokenIds } = request;
  const hashed = {
    blockSize: deps.blockSize,
    isEagle: form.isEagle,
    loraName: form.dialect.hashesLora ? routing.lora_name : undefined,
    cacheNamespace: form.dialect.hashesCacheSalt ? routing.cache_salt : undefined,
  };
  if (request.images.length === 0)
    return { islTokens: tokenIds.length, blockHashes: blockHashes({ ...hashed, tokens: tokenIds }), quality: exact };
  const { routingTokens, blockMmInfos, promptTokens, ranges, quality, ours, identities, refusal } = await deps.analyser.analyse(
    analysisInput(request, form, deps),
    signal,
  );
  const hashes = blockHashes({ ...hashed, tokens: routingTokens, blockMmInfos });
  const [firstImage] = ranges;
  return {
    islTokens: promptTokens,
    blockHashes: hashes,
    quality,
    imageRanges: ranges,
    ...(quality.kind === "exact" &&
      firstImage !== undefined && {
        predicted: hashes,
        textBlocks: Math.floor(firstImage.start / deps.blockSize),
        predictAs: (imageDialect: ImageDialect) => predictedAs(request, { ...form, imageDialect }, deps),
      }),
    ...(ours && identities && { mmHashes: identities }),
    ...(refusal && { refusal }),
  };
}

/** How long an image may be looked at again for another dialect: nobody waits for it. */
const otherDialectMs = 10_000;

async function predictedAs(request: ReceivedRequest, form: PromptForm, deps: PromptDeps): Promise<BigUint64Array | undefined> {
  const prompt = await routedPrompt(request, form, deps, AbortSignal.timeout(otherDialectMs)).catch(() => undefined);
  return prompt?.predicted;
}

/** The same prompt for a worker whose images are not believed: its text before the first image alone. */
export function byTextPrefix(prompt: RoutedPrompt): RoutedPrompt {
  const { blockHashes: hashes, textBlocks } = prompt;
  if (textBlocks === undefined) return prompt;
  return { ...prompt, blockHashes: hashes.subarray(0, textBlocks), quality: { kind: "degraded", reason: "prediction-differs" } };
}

function analysisInput(
  request: ReceivedRequest,
  { dialect, imageDialect, promptTokensMax }: PromptForm,
  { model, blockSize }: PromptDeps,
): AnalysisInput {
  const { tokenIds, images, givenHashes, hasUuids } = request;
  return {
    tokenIds,
    images,
    givenHashes,
    hasUuids,
    frontendTokens: frontendTokensOf(request),
    processorOptions: dialect.honoursProcessorOptions ? processorOptionsOf(request) : undefined,
    model,
    blockSize,
    dialect: imageDialect,
    worker: dialect,
    promptTokensMax,
    isPromptRebuilt: dialect.readsImagePromptFromMessages && !startsWithImage(messagesOf(request) ?? []),
  };
}
