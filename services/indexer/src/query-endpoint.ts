// Answers `kv_indexer_query` as a real served index does: under the workers' component, for every model served there. Beside it
// `kv_indexer_lookup`, our own short form of the same question.
//
// Routers ask over the request plane, JSON or MessagePack, and are answered in kind with one data frame; whoever asks a list of queries
// gets one frame for each, in order, all of the same moment (packages/protocol indexer/query.ts).
// G1  A query that upstream's index acknowledges and never answers (no model name, wrong types) gets an error from ours.
import {
  ACK_BYTES_MAX,
  decodeIndexerQueries,
  decodeLookup,
  encodeIndexerAnswer,
  encodeLookupAnswer,
  type IndexerAnswer,
  type IndexerQuery,
  toAppError,
} from "@mm-router/protocol";
import type { IndexerMetrics, KvIndexer } from "@mm-router/kv-indexer";
import type { Answerer, Clock, Handler } from "@mm-router/runtime";

export interface QueryDeps {
  readonly index: Pick<KvIndexer, "findMatches">;
  readonly metrics: IndexerMetrics;
  readonly clock: Clock;
}

export function queryHandler(deps: QueryDeps): Handler {
  return async ({ codec, body }, sink) => {
    await sink.frames(
      answered(
        () => decodeIndexerQueries(codec, body),
        (answer) => encodeIndexerAnswer(codec, answer),
        deps,
      ),
    );
  };
}

/** The same for `kv_indexer_lookup`. An answer too long for an acknowledgement is an error; the router then does without. */
export function lookupAnswerer(deps: QueryDeps): Answerer {
  return (question) => {
    const [bytes] = answered(() => [decodeLookup(question)], encodeLookupAnswer, deps) as [Buffer];
    if (bytes.length <= ACK_BYTES_MAX) return bytes;
    return encodeLookupAnswer({ kind: "error", message: "more ranks hold these blocks than an acknowledgement can name" });
  };
}

/** One answer per query, or a single one when they cannot be read. */
function answered(decode: () => readonly IndexerQuery[], bytesOf: (answer: IndexerAnswer) => Buffer, deps: QueryDeps): Buffer[] {
  const began = deps.clock.now();
  const replies = repliesTo(decode, deps);
  const frames = replies.map(({ answer }) => bytesOf(answer));
  const seconds = (deps.clock.now() - began) / 1000;
  for (const { outcome } of replies) deps.metrics.query(outcome, seconds / replies.length);
  return frames;
}

interface Reply {
  readonly answer: IndexerAnswer;
  readonly outcome: Parameters<IndexerMetrics["query"]>[0];
}

function repliesTo(decode: () => readonly IndexerQuery[], deps: QueryDeps): Reply[] {
  let queries: readonly IndexerQuery[];
  try {
    queries = decode();
  } catch (error) {
    return [{ answer: { kind: "error", message: toAppError(error).message }, outcome: "malformed" }];
  }
  return queries.map((query) => replyTo(query, deps));
}

function replyTo({ modelName, blockHashes }: IndexerQuery, { index }: QueryDeps): Reply {
  const scores = index.findMatches(modelName, blockHashes);
  if (scores === undefined) {
    return { answer: { kind: "error", message: `served indexer model ${modelName} is not registered` }, outcome: "unknown_model" };
  }
  return { answer: { kind: "scores", scores }, outcome: "scores" };
}
