// What a request asks of Tokens workers: one job per prompt.
//
// Chat has one prompt; a completion may have several, which go out under the ids `<id>-0`, `<id>-1`, ….
import { type AppError, toAppError } from "@mm-router/protocol";
import type { ResponseStream } from "@mm-router/runtime";
import type { WorkerSet } from "../models/worker-set.ts";
import { NvextFields } from "../postprocess/nvext-fields.ts";
import { TokenReader } from "../postprocess/token-reader.ts";
import { sumOfUsage, type Usage, UsageCount } from "../postprocess/usage.ts";
import type { TokenPrompt } from "../preprocess/preprocessor.ts";
import type { RequestHints } from "../preprocess/request-hints.ts";
import { type SamplingMembers, stopRules } from "../preprocess/sampling.ts";
import type { ChatForm } from "../postprocess/chat-form.ts";
import type { ThinkingNote } from "../preprocess/thinking-note.ts";
import { workerRequestBody } from "../preprocess/worker-request.ts";
import type { TextModel } from "../text/index.ts";
import type { Exchange } from "./exchange.ts";
import type { MigrationLimits } from "./migration.ts";

export interface TokenRequest {
  readonly api: "chat" | "completion";
  readonly model: string;
  readonly members: SamplingMembers;
  readonly prompts: readonly TokenPrompt[];
  readonly hints: RequestHints;
  readonly workers: WorkerSet;
  readonly text: TextModel;
  /** What the client wants to see of log probabilities. */
  readonly logprobs: { readonly top: number } | undefined;
  /** Alternatives asked of the engine. */
  readonly workerLogprobs: number | undefined;
  /** What the worker is told about thinking; undefined for models without a reasoning parser. */
  readonly thinking?: ThinkingNote | undefined;
  readonly migration: MigrationLimits;
  /** How a chat answer's text is taken apart; undefined: not at all. */
  readonly form?: ChatForm | undefined;
  /** Whether mm-router is asked how sure it was, beside what the client asks. */
  readonly asksQuality?: boolean;
}

export interface TokenJob {
  readonly contextId: string;
  readonly prompt: TokenPrompt;
  readonly reader: TokenReader;
  readonly usage: UsageCount;
  readonly nvext: NvextFields;
  /** Index of its first choice among those of all jobs. */
  readonly firstIndex: number;
}

/** A job that a worker has taken. */
export interface RunningJob extends TokenJob {
  readonly stream: ResponseStream;
}

/** Sends every prompt to a worker. @throws AppError when one of them is not taken */
export async function dispatchPrompts(request: TokenRequest, exchange: Exchange): Promise<RunningJob[]> {
  return Promise.all(
    jobsOf(request, exchange).map(async (job): Promise<RunningJob> => {
      exchange.observer.dispatched(job.usage.promptTokens);
      return { ...job, stream: await sendPrompt(request, job, exchange) };
    }),
  );
}

/** Sends a job's prompt to a worker. @throws AppError when it is not taken */
export async function sendPrompt(request: TokenRequest, job: TokenJob, { signal, span }: Exchange): Promise<ResponseStream> {
  const { workers, hints } = request;
  const { contextId, prompt } = job;
  const callFor = (dpRank: number | undefined) => {
    const body = tokenRequestBody({ ...request, hints: { ...hints, dpRank } }, prompt);
    return { contextId, body, signal, metadata: hints.metadata, headers: span.headers };
  };
  const { tokenIds, media } = prompt;
  const blocks = { tokenIds, hasMedia: media !== undefined, cacheSalt: hints.cacheSalt, headers: span.headers };
  const stream = await workers.dispatchPrompt(blocks, { signal, callFor }, hints);
  job.nvext.instanceId = stream.instanceId;
  return stream;
}

/** Lets the worker set learn from how reading a stream fails. */
export async function learning<T>(workers: WorkerSet, stream: ResponseStream, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    const failure: AppError = toAppError(error);
    workers.noteFailure(stream.instanceId, failure);
    throw failure;
  }
}

/** Usage of all jobs; undefined while one of them has no finish reason. */
export function usageOf(jobs: readonly TokenJob[]): Usage | undefined {
  if (!jobs.every((job) => job.usage.finished)) return undefined;
  const usages = jobs.map((job) => job.usage.now());
  return usages.length === 1 ? usages[0] : sumOfUsage(usages);
}

function jobsOf(request: TokenRequest, exchange: Exchange): TokenJob[] {
  const { api, members, prompts, text } = request;
  const stops = stopRules(members, text.eosTokenIds);
  const n = members.n ?? 1;
  const skipSpecialTokens = members.skip_special_tokens ?? true;
  const onTokens = (count: number) => exchange.observer.progress(count);
  return prompts.map((prompt, index): TokenJob => {
    const usage = new UsageCount(prompt.tokenIds.length, api);
    if (request.form?.thoughts !== undefined) usage.reasoningTokens = 0;
    return {
      contextId: prompts.length === 1 ? exchange.contextId : `${exchange.contextId}-${index}`,
      prompt,
      reader: new TokenReader({
        text,
        promptIds: prompt.tokenIds,
        skipSpecialTokens,
        stops,
        n,
        usage,
        keepsIds: request.migration.limit > 0,
        onTokens,
      }),
      usage,
      nvext: new NvextFields(wantedFields(members), exchange),
      firstIndex: index * n,
    };
  });
}

/** Asking which instance would be chosen shows which one was. */
function wantedFields({ nvext }: SamplingMembers): string[] {
  const asks = nvext?.annotations?.some((annotation) => annotation.startsWith("query_instance_id:")) === true;
  return [...(nvext?.extra_fields ?? []), ...(asks ? ["worker_id"] : [])];
}

/** The request to a worker for one of the prompts. */
export function tokenRequestBody(request: TokenRequest, prompt: TokenPrompt): Buffer {
  return workerRequestBody({
    model: request.model,
    members: request.members,
    tokenIds: prompt.tokenIds,
    formattedPrompt: prompt.formatted,
    media: prompt.media,
    imageNames: prompt.imageNames,
    eosTokenIds: request.text.eosTokenIds,
    sum: request.workers.sum,
    loraName: request.workers.loraName,
    logprobs: request.workerLogprobs,
    thinking: request.thinking,
    hints: request.hints,
    asksQuality: request.asksQuality === true,
  });
}
