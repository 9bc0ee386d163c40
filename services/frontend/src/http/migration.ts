// A stream whose worker dies goes on at another one; the client does not notice.
//
//   worker A   prompt                     → t1 t2 t3 ✗
//   worker B   prompt t1 t2 t3            → t4 t5 …        same context id, max_tokens less 3
//   client     t1 t2 t3 t4 t5 …                            one stream, one count of tokens
//
// Source: Dynamo 1.6.1 (migration.rs), seen running; evidence: golden frontend lifecycle (migration).
// I1  Text, stop strings and counts go on where they were: the reader does not change, only its stream does.
// I2  Only what a worker's end broke migrates. What a worker says (a refusal, an error of its engine) is the answer.
// I3  Not migrated: several choices (no request says where each of them is), an answer held to a form (the next engine would begin
//     the form anew), and a request that may be served by one instance only.
import { type AppError, toAppError } from "@mm-router/protocol";
import type { ResponseStream } from "@mm-router/runtime";
import { type Answer, relay } from "../postprocess/relay.ts";
import type { TokenPart } from "../postprocess/token-reader.ts";
import { guidedDecoding } from "../preprocess/guided-decoding.ts";
import type { SamplingMembers } from "../preprocess/sampling.ts";
import type { Exchange } from "./exchange.ts";
import { learning, type RunningJob, sendPrompt, type TokenRequest } from "./token-jobs.ts";

export interface MigrationLimits {
  /** Migrations of one request (`--migration-limit`); 0 = none. */
  readonly limit: number;
  /** Longest sequence, prompt and answer, that migrates; undefined = any (`--migration-max-seq-len`). */
  readonly sequenceMax: number | undefined;
}

/** Relays a job into its answer. @throws AppError for what ends the request */
export async function relayJob(job: RunningJob, request: TokenRequest, exchange: Exchange, answer: Answer<TokenPart>): Promise<void> {
  let { stream } = job;
  for (let left = migrationsOf(request); ; left--) {
    try {
      return await learning(request.workers, stream, relay(stream, job.reader, answer));
    } catch (error) {
      const failure = toAppError(error);
      if (left === 0 || !isLost(failure) || exchange.clientLeft || !fits(job, request)) throw failure;
      if (job.usage.finished) return; // the last word was said before the end
      const next = await continuedStream(job, request, exchange, answer);
      if (next === undefined) return;
      stream = next;
    }
  }
}

/** @returns undefined when nothing is left to generate */
async function continuedStream(
  job: RunningJob,
  request: TokenRequest,
  exchange: Exchange,
  answer: Answer<TokenPart>,
): Promise<ResponseStream | undefined> {
  const received = job.reader.receivedIds;
  job.usage.carriedTokens = received.length;
  const members = withoutTokens(request.members, received.length);
  if (members === undefined) {
    const end = job.reader.read({ token_ids: [], finish_reason: "length" });
    if (end !== undefined) answer.add(end);
    await answer.flush();
    return undefined;
  }
  exchange.observer.migrated();
  const tokenIds = Uint32Array.from([...job.prompt.tokenIds, ...received]);
  return sendPrompt({ ...request, members }, { ...job, prompt: { ...job.prompt, tokenIds } }, exchange);
}

function migrationsOf({ migration, members, hints }: TokenRequest): number {
  const isOne = (members.n ?? 1) === 1 && hints.instanceId === undefined && guidedDecoding(members) === null;
  return isOne ? migration.limit : 0;
}

function isLost(failure: AppError): boolean {
  return failure.code === "worker_lost";
}

function fits({ prompt, reader }: RunningJob, { migration: { sequenceMax } }: TokenRequest): boolean {
  return sequenceMax === undefined || prompt.tokenIds.length + reader.receivedIds.length <= sequenceMax;
}

/** What is left of the limits; undefined when nothing may be generated any more. */
function withoutTokens(members: SamplingMembers, received: number): SamplingMembers | undefined {
  const { min_tokens: least, max_completion_tokens: limit = members.max_tokens } = members;
  if (limit !== undefined && limit <= received) return undefined;
  return {
    ...members,
    ...(limit !== undefined && { max_completion_tokens: limit - received }),
    ...(least !== undefined && { min_tokens: Math.max(0, least - received) }),
  };
}
