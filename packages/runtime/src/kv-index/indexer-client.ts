// Asks a served index which ranks hold a request's leading blocks. Fails soft: no answer is an empty one, with its reason.
//
//   router ── {"model_name","block_hashes"} ──▶ kv_indexer_query, under the workers' component, ours or a real router's
//          ◀── scores in blocks ─────────────── within `deadlineMs`, else routing by load
//   router ── the same in small bytes ────────▶ kv_indexer_lookup, where ours serves it: no connection per answer
//
// Source: golden/kv/remote-indexer.json (served index and asking router of 1.2.1, 1.4.2, 1.6.1).
import { randomUUID } from "node:crypto";
import {
  AppError,
  decodeIndexerAnswer,
  decodeLookupAnswer,
  encodeIndexerQuery,
  encodeLookup,
  type IndexerAnswer,
  type IndexerQuery,
  type RankScore,
  toAppError,
} from "@mm-router/protocol";
import type { EndpointClient } from "../endpoint.ts";
import { Breaker, type Clock, withDeadline } from "../flow/index.ts";
import type { Logger } from "../service/index.ts";
import { noTracer, type Tracer } from "../tracing/index.ts";

/** Why an index gave nothing. */
export type IndexGap = "index-missing" | "index-late" | "index-failed" | "index-resting";

export interface IndexerClientOptions {
  readonly deadlineMs: number;
  /** Failures in a row after which the index is left alone for `restMs`. */
  readonly failuresMax: number;
  readonly restMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Makes a span of each question; default: none does. */
  readonly tracer?: Tracer | undefined;
}

/** The served indexes of one component. */
export interface IndexEndpoints {
  /** `kv_indexer_query`, as every release serves it. */
  readonly query: EndpointClient;
  /** `kv_indexer_lookup`, of our indexes. */
  readonly lookup: EndpointClient;
}

export interface IndexAnswer {
  readonly scores: readonly RankScore[];
  /** Why there are no scores although there might be. */
  readonly degraded?: IndexGap;
  /** ms from the question to its answer or failure; absent when nobody was asked. */
  readonly tookMs?: number;
}

const nothing: IndexAnswer = { scores: [] };

export class IndexerClient {
  private readonly endpoints: IndexEndpoints;
  private readonly options: IndexerClientOptions;
  private readonly breaker: Breaker;

  constructor(endpoints: IndexEndpoints, options: IndexerClientOptions) {
    this.endpoints = endpoints;
    this.options = options;
    this.breaker = new Breaker(options);
  }

  /**
   * Never rejects, but for a caller that left (`client_closed`).
   *
   * @param headers of the span that the question is a part of
   */
  async query(
    modelName: string,
    blockHashes: BigUint64Array,
    signal: AbortSignal,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<IndexAnswer> {
    if (blockHashes.length === 0) return nothing;
    const { query, lookup } = this.endpoints;
    const short = lookup.instances.list().length > 0;
    if (!short && query.instances.list().length === 0) return { scores: [], degraded: "index-missing" };
    if (!this.breaker.mayAsk()) return { scores: [], degraded: "index-resting" };
    const { deadlineMs, clock, tracer = noTracer } = this.options;
    const askedAt = clock.now();
    const span = tracer.begin(short ? "index lookup" : "index query", headers, { blocks: blockHashes.length }, "client");
    try {
      const question = { modelName, blockHashes };
      const asked = short ? this.lookUp(question) : (limited: AbortSignal) => this.ask(question, limited, span.headers);
      const scores = await withDeadline(asked, deadlineMs, "the index query", signal);
      this.breaker.succeeded();
      span.end();
      return { scores, tookMs: clock.now() - askedAt };
    } catch (error) {
      span.end(toAppError(error));
      signal.throwIfAborted();
      return { ...this.failure(error), tookMs: clock.now() - askedAt };
    }
  }

  private async lookUp(question: IndexerQuery): Promise<readonly RankScore[]> {
    return scoresOf(decodeLookupAnswer(await this.endpoints.lookup.ask(encodeLookup(question))));
  }

  private async ask(question: IndexerQuery, signal: AbortSignal, headers: Record<string, string>): Promise<readonly RankScore[]> {
    const body = encodeIndexerQuery("json", question);
    const stream = await this.endpoints.query.roundRobin({ contextId: randomUUID(), body, signal, headers });
    let scores: readonly RankScore[] | undefined;
    for await (const frames of stream) {
      for (const frame of frames) scores ??= scoresOf(decodeIndexerAnswer("json", frame));
    }
    if (scores === undefined) throw new AppError("protocol_error", "the index ended its answer without one");
    return scores;
  }

  private failure(error: unknown): IndexAnswer {
    this.breaker.failed();
    const late = error instanceof AppError && error.code === "deadline_exceeded";
    const degraded = late ? "index-late" : "index-failed";
    this.options.log.debug("index query failed", { reason: degraded, error });
    return { scores: [], degraded };
  }
}

function scoresOf(answer: IndexerAnswer): readonly RankScore[] {
  if (answer.kind === "error") throw new AppError("worker_error", answer.message);
  return answer.scores;
}
