// The answer of Tokens workers to one request, streamed or folded, chat or completion.
//
//   dispatch all prompts ─▶ head ─▶ annotations ─▶ relay all at once ─▶ usage ─▶ end
//
// Source: Dynamo 1.6.1; evidence: golden frontend chat.*, cmpl.*, nv.annot.
// I1  A stream's head goes out when every prompt has a worker: faults before that have a status of their own.
// I2  The first failure ends the request; the exchange's end stops the other jobs.
import { toAppError } from "@mm-router/protocol";
import { CompletionAggregate } from "../postprocess/aggregate.ts";
import type { AnswerIdentity } from "../postprocess/chunks.ts";
import type { LogprobOptions } from "../postprocess/logprobs.ts";
import { StreamedChat, StreamedCompletion } from "../postprocess/streamed-answer.ts";
import { UnaryChat, UnaryCompletion } from "../postprocess/unary-answer.ts";
import { mergedNvext } from "../postprocess/nvext-fields.ts";
import { streamErrorBody } from "./error-response.ts";
import type { Exchange } from "./exchange.ts";
import type { EventStream } from "./sse.ts";
import { dispatchPrompts, relayJobs, type RunningJob, type TokenRequest, usageOf } from "./token-jobs.ts";

export interface StreamSettings {
  /** Silence after which a comment is sent; 0 = never. */
  readonly keepAliveMs: number;
  /** Usage at the end of every stream, asked for or not. */
  readonly forceUsage: boolean;
}

/** @throws AppError for what ends the request; inside a stream it was told before */
export async function answerFromTokens(request: TokenRequest, exchange: Exchange, settings: StreamSettings): Promise<void> {
  const jobs = await dispatchPrompts(request, exchange);
  await (request.members.stream === true ? streamAnswer(request, jobs, exchange, settings) : foldAnswer(request, jobs, exchange));
  exchange.observer.cachedTokens = usageOf(jobs)?.prompt_tokens_details?.["cached_tokens"] ?? undefined;
}

/** Runs `tell` inside an event stream: what it throws is the stream's last event before the end mark. */
export async function tellInStream(events: EventStream, exchange: Exchange, tell: () => Promise<void>): Promise<void> {
  try {
    await tell();
  } catch (error) {
    if (!exchange.clientLeft) events.data(JSON.stringify(streamErrorBody(toAppError(error))));
    throw error;
  } finally {
    events.end();
  }
}

async function streamAnswer(
  request: TokenRequest,
  jobs: readonly RunningJob[],
  exchange: Exchange,
  settings: StreamSettings,
): Promise<void> {
  const { include_usage: wantsUsage = false, continuous_usage_stats: continuous = false } = request.members.stream_options ?? {};
  const events = exchange.events(settings.keepAliveMs);
  const answerOf = (job: RunningJob) => {
    const options = {
      identity: identityOf(request, job.contextId, exchange),
      logprobs: logprobOptions(request),
      continuousUsage: wantsUsage && continuous,
      nvext: job.nvext,
    };
    return request.api === "chat" ? new StreamedChat(events, options) : new StreamedCompletion(events, options, job.firstIndex);
  };
  await tellInStream(events, exchange, async () => {
    annotate(request, exchange, events);
    const answers = new Map(jobs.map((job) => [job, answerOf(job)]));
    await relayJobs(jobs, request.workers, (job) => answers.get(job)!);
    const usage = usageOf(jobs);
    if (usage !== undefined && (wantsUsage || settings.forceUsage)) answers.get(jobs[0]!)!.usage(usage);
  });
}

async function foldAnswer(request: TokenRequest, jobs: readonly RunningJob[], exchange: Exchange): Promise<void> {
  const identity = identityOf(request, exchange.contextId, exchange);
  const logprobs = logprobOptions(request);
  if (request.api === "chat") {
    const answer = new UnaryChat({ logprobs, nvext: jobs[0]!.nvext });
    await relayJobs(jobs, request.workers, () => answer);
    return exchange.json(answer.aggregate.body(identity, { usage: usageOf(jobs), nvext: answer.nvext }));
  }
  const aggregate = new CompletionAggregate();
  const answers = new Map(jobs.map((job) => [job, new UnaryCompletion(aggregate, { logprobs, nvext: job.nvext }, job.firstIndex)]));
  await relayJobs(jobs, request.workers, (job) => answers.get(job)!);
  const nvext = [...answers.values()].map((answer) => answer.nvext).reduce(mergedNvext, undefined);
  exchange.json(aggregate.body(identity, { usage: usageOf(jobs), nvext }));
}

function identityOf({ api, model }: TokenRequest, contextId: string, { receivedAtMs }: Exchange): AnswerIdentity {
  return { id: `${api === "chat" ? "chatcmpl" : "cmpl"}-${contextId}`, model, created: Math.floor(receivedAtMs / 1000) };
}

function logprobOptions({ logprobs, members, text }: TokenRequest): LogprobOptions | undefined {
  return logprobs && { text, top: logprobs.top, asTokenIds: members.return_tokens_as_token_ids === true };
}

/** What `nvext.annotations` asked for: events before all data, of which OpenAI clients see nothing. */
function annotate({ members, prompts }: TokenRequest, { contextId }: Exchange, events: EventStream): void {
  const [prompt] = prompts;
  for (const name of members.nvext?.annotations ?? []) {
    if (name === "request_id") events.annotation(name, [JSON.stringify(contextId)]);
    if (name === "formatted_prompt" && prompt?.formatted !== undefined) events.annotation(name, [JSON.stringify(prompt.formatted)]);
    if (name === "token_ids" && prompt !== undefined) events.annotation(name, [JSON.stringify(`[${prompt.tokenIds.join(",")}]`)]);
  }
}
