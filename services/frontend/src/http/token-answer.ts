// The answer of Tokens workers to one request, streamed or folded, in the form of the API that was asked.
//
//   dispatch all prompts ─▶ head ─▶ annotations ─▶ relay all at once ─▶ usage ─▶ end
//
// Source: Dynamo 1.6.1; evidence: golden frontend chat.*, cmpl.*, nv.annot.
// I1  A stream's head goes out when every prompt has a worker: faults before that have a status of their own.
// I2  The first failure ends the request; the exchange's end stops the other jobs.
import { routingQualityAnnotation, toAppError } from "@mm-router/protocol";
import { CompletionAggregate } from "../postprocess/aggregate.ts";
import { ChatAnswer } from "../postprocess/chat-answer.ts";
import { type AnswerIdentity, ChatChunks, CompletionChunks } from "../postprocess/chunks.ts";
import type { LogprobOptions } from "../postprocess/logprobs.ts";
import { mergedNvext } from "../postprocess/nvext-fields.ts";
import type { Answer } from "../postprocess/relay.ts";
import { StreamedCompletion } from "../postprocess/streamed-answer.ts";
import type { TokenPart } from "../postprocess/token-reader.ts";
import { FoldedChat, UnaryCompletion } from "../postprocess/unary-answer.ts";
import type { ChatStream, ChatSurface } from "./chat-surface.ts";
import { pastEarlyError } from "./early-error.ts";
import { streamErrorBody } from "./error-response.ts";
import type { Exchange } from "./exchange.ts";
import { relayJob } from "./migration.ts";
import { qualityHeader, qualityOf } from "./quality-header.ts";
import type { EventStream } from "./sse.ts";
import { dispatchPrompts, learning, type RunningJob, type TokenRequest, usageOf } from "./token-jobs.ts";

export interface StreamSettings {
  /** Silence after which a comment is sent; 0 = never. */
  readonly keepAliveMs: number;
  /** Usage at the end of every stream, asked for or not. */
  readonly forceUsage: boolean;
  /** How long a stream's head waits for the first item (early-error.ts); 0 = not at all. */
  readonly earlyErrorMs: number;
  /** Whether answers say how sure their routing was (quality-header.ts). */
  readonly qualityHeader: boolean;
}

/** How a stream is told that it failed. */
type Failing = Pick<ChatStream, "fail">;

/** @throws AppError for what ends the request; inside a stream it was told before */
export async function answerChatTokens(
  request: TokenRequest,
  surface: ChatSurface,
  exchange: Exchange,
  settings: StreamSettings,
): Promise<void> {
  const streams = request.members.stream === true;
  const jobs = await begunJobs(request, exchange, settings);
  const [job] = jobs as [RunningJob]; // a chat has one prompt
  const identity = { id: surface.newId(exchange.contextId), model: request.model, created: createdAt(exchange) };
  const options = {
    form: request.form,
    logprobs: logprobOptions(request),
    continuousUsage: streams && (surface.showsUsage === "always" || continuousUsage(request, settings)),
    nvext: job.nvext,
  };
  if (streams) {
    const events = exchange.events(settings.keepAliveMs);
    if (surface.isOpenAiChat && exchange.parsesEveryEvent) events.accompanyAnnotations(new ChatChunks(identity).empty());
    const stream = surface.stream(events, identity, job.usage.promptTokens);
    await tellInStream(events, stream, exchange, async () => {
      annotate(request, exchange, events);
      await stream.flush(); // what a form says before the first token need not wait for it
      await relayJob(job, request, exchange, new ChatAnswer(stream, options));
      stream.end(usageOf(jobs), wantsUsage(request, settings));
    });
  } else {
    const folded = new FoldedChat();
    await relayJob(job, request, exchange, new ChatAnswer(folded, options));
    exchange.json(surface.body(folded, identity, usageOf(jobs)));
  }
  noteCached(jobs, exchange);
}

/** @throws AppError for what ends the request; inside a stream it was told before */
export async function answerCompletionTokens(request: TokenRequest, exchange: Exchange, settings: StreamSettings): Promise<void> {
  const streams = request.members.stream === true;
  const jobs = await begunJobs(request, exchange, settings);
  await (streams ? streamCompletion(request, jobs, exchange, settings) : foldCompletion(request, jobs, exchange));
  noteCached(jobs, exchange);
}

/** Jobs that workers have taken, and that, streamed, did not fail within `earlyErrorMs`. */
async function begunJobs(request: TokenRequest, exchange: Exchange, settings: StreamSettings): Promise<RunningJob[]> {
  const jobs = await (settings.qualityHeader ? qualifiedJobs(request, exchange) : dispatchPrompts(request, exchange));
  const { earlyErrorMs } = settings;
  if (request.members.stream !== true || earlyErrorMs === 0) return jobs;
  const past = (job: RunningJob) => learning(request.workers, job.stream, pastEarlyError(job.stream, earlyErrorMs));
  return Promise.all(jobs.map(async (job) => ({ ...job, stream: await past(job) })));
}

/** Jobs that workers have taken and whose routers have said how sure they were. */
async function qualifiedJobs(request: TokenRequest, exchange: Exchange): Promise<RunningJob[]> {
  const keeps = request.members.nvext?.annotations?.includes(routingQualityAnnotation) === true;
  const jobs = await dispatchPrompts({ ...request, asksQuality: true }, exchange);
  const qualified = await Promise.all(
    jobs.map(async (job) => ({ job, ...(await learning(request.workers, job.stream, qualityOf(job.stream, keeps))) })),
  );
  const told = qualified.flatMap(({ quality }) => quality ?? []);
  if (told.length > 0) exchange.headers[qualityHeader] = told.join(", ");
  return qualified.map(({ job, stream }) => ({ ...job, stream }));
}

async function streamCompletion(
  request: TokenRequest,
  jobs: readonly RunningJob[],
  exchange: Exchange,
  settings: StreamSettings,
): Promise<void> {
  const events = exchange.events(settings.keepAliveMs);
  const identity = completionIdentity(request, exchange.contextId, exchange);
  if (exchange.parsesEveryEvent) events.accompanyAnnotations(new CompletionChunks(identity).empty());
  const logprobs = logprobOptions(request);
  const answerOf = (job: RunningJob) =>
    new StreamedCompletion(events, {
      identity: completionIdentity(request, job.contextId, exchange),
      logprobs,
      continuousUsage: continuousUsage(request, settings),
      nvext: job.nvext,
      firstIndex: job.firstIndex,
    });
  await tellInStream(events, openAiFailure(events), exchange, async () => {
    annotate(request, exchange, events);
    await relayJobs(jobs, request, exchange, answerOf);
    const usage = usageOf(jobs);
    if (usage === undefined || !wantsUsage(request, settings)) return;
    events.data(new CompletionChunks(completionIdentity(request, jobs[0]!.contextId, exchange)).usage(usage));
  });
}

async function foldCompletion(request: TokenRequest, jobs: readonly RunningJob[], exchange: Exchange): Promise<void> {
  const logprobs = logprobOptions(request);
  const aggregate = new CompletionAggregate();
  const answers = new Map(jobs.map((job) => [job, new UnaryCompletion(aggregate, { logprobs, nvext: job.nvext }, job.firstIndex)]));
  await relayJobs(jobs, request, exchange, (job) => answers.get(job)!);
  const nvext = [...answers.values()].map((answer) => answer.nvext).reduce(mergedNvext, undefined);
  exchange.json(aggregate.body(completionIdentity(request, exchange.contextId, exchange), { usage: usageOf(jobs), nvext }));
}

/** Relays all jobs at once, each into its answer; the first failure is thrown. */
async function relayJobs(
  jobs: readonly RunningJob[],
  request: TokenRequest,
  exchange: Exchange,
  answerOf: (job: RunningJob) => Answer<TokenPart>,
): Promise<void> {
  await Promise.all(jobs.map((job) => relayJob(job, request, exchange, answerOf(job))));
}

/** Runs `tell` inside an event stream: what it throws is the stream's last event before the end mark. */
export async function tellInStream(events: EventStream, stream: Failing, exchange: Exchange, tell: () => Promise<void>): Promise<void> {
  try {
    await tell();
  } catch (error) {
    if (!exchange.clientLeft) stream.fail(toAppError(error));
    throw error;
  } finally {
    events.end();
  }
}

/** The error event of OpenAI's chat and completion streams. */
export function openAiFailure(events: EventStream): Failing {
  return { fail: (error) => events.data(JSON.stringify(streamErrorBody(error))) };
}

function completionIdentity({ model }: TokenRequest, contextId: string, exchange: Exchange): AnswerIdentity {
  return { id: `cmpl-${contextId}`, model, created: createdAt(exchange) };
}

function createdAt({ receivedAtMs }: Exchange): number {
  return Math.floor(receivedAtMs / 1000);
}

function wantsUsage({ members }: TokenRequest, { forceUsage }: StreamSettings): boolean {
  return forceUsage || members.stream_options?.include_usage === true;
}

function continuousUsage(request: TokenRequest, settings: StreamSettings): boolean {
  return wantsUsage(request, settings) && request.members.stream_options?.continuous_usage_stats === true;
}

function noteCached(jobs: readonly RunningJob[], { observer }: Exchange): void {
  observer.cachedTokens = usageOf(jobs)?.prompt_tokens_details?.["cached_tokens"] ?? undefined;
}

function logprobOptions({ logprobs, members, text }: TokenRequest): LogprobOptions | undefined {
  return logprobs && { text, top: logprobs.top, asTokenIds: members.return_tokens_as_token_ids === true };
}

/** What `nvext.annotations` asked for: events before all data. */
function annotate({ members, prompts }: TokenRequest, { contextId }: Exchange, events: EventStream): void {
  const [prompt] = prompts;
  for (const name of members.nvext?.annotations ?? []) {
    if (name === "request_id") events.annotation(name, [JSON.stringify(contextId)]);
    if (name === "formatted_prompt" && prompt?.formatted !== undefined) events.annotation(name, [JSON.stringify(prompt.formatted)]);
    if (name === "token_ids" && prompt !== undefined) events.annotation(name, [JSON.stringify(`[${prompt.tokenIds.join(",")}]`)]);
  }
}
