// A routing decision as mm-router remembers it, and how it is asked for: our own endpoint, no release has one.
//
//   {"request_id":"…"} or {"latest":20} ──▶ mmr_decisions of each mm-router ──▶ {"decisions":[…]}     newest first
//
// I1  Counts, names and times: nothing here is a prompt, a URL or an answer. Ids of workers are decimal digits, since they are u64.
import { z } from "zod";
import { parseJson } from "../json.ts";
import { decodeAs } from "../schema.ts";

export const decisionsEndpoint = "mmr_decisions";

const count = z.number().min(0);

/** A rank as it was weighed for a request. */
export const weighedRank = z.object({
  worker_id: z.string(),
  dp_rank: count,
  /** Leading blocks of the prompt that it held. */
  overlap_blocks: count,
  active_prefill_tokens: count,
  active_decode_blocks: count,
  active_requests: count,
  /** Blocks that the request would have added to the active ones. */
  new_decode_blocks: count,
  /** In blocks; the lowest wins. */
  cost: z.number(),
});

const image = z.object({
  /** 16 hex digits that name its content or URL; null for an image that was not placed. */
  name: z.string().nullable(),
  /** Of its own tokens in the routed prompt, half-open; null as the name. */
  tokens: z.tuple([count, count]).nullable(),
  /** Full blocks that hold a part of it, and how many of these the chosen worker held. */
  blocks: count,
  held_blocks: count,
});

const decision = z.object({
  request_id: z.string(),
  /** ms since 1970. */
  received_at: count,
  prompt_tokens: count,
  images: z.array(image),
  /** Absent members of a request that no worker was chosen for, or not yet, are null. */
  chosen: z
    .object({
      worker_id: z.string(),
      dp_rank: count,
      /** Tokens with images expanded. */
      routing_tokens: count,
      blocks: count,
      block_size: count,
      overlap_blocks: count,
      /** Held by the best rank. */
      available_blocks: count,
      quality: z.string(),
      reason: z.object({ reason: z.string(), meaning: z.string() }).nullable(),
      routing_ms: count,
    })
    .nullable(),
  /** The cheapest first, the chosen one among them. */
  candidates: z.array(weighedRank),
  /** Ranks that were weighed and are not listed. */
  candidates_more: count,
  /** Workers that did not take it before. */
  retries: count,
  first_token_ms: count.nullable(),
  /** Prompt tokens that the worker had in its cache, as it said. */
  cached_tokens: count.nullable(),
  /** null while it runs. */
  outcome: z.string().nullable(),
  /** Code of the error that ended it. */
  error: z.string().nullable(),
  duration_ms: count.nullable(),
});

export type DecisionRecord = z.output<typeof decision>;

const question = z.union([z.object({ request_id: z.string() }), z.object({ latest: z.number().int().min(0) })]);
export type DecisionsQuestion = z.output<typeof question>;

/** @throws AppError `protocol_error` */
export function decodeDecisionsQuestion(body: Uint8Array): DecisionsQuestion {
  return decodeAs(question, parseJson(body), "question for decisions");
}

const answer = z.object({ decisions: z.array(decision) });

/** @throws AppError `protocol_error` when the item of another program is none */
export function decodeDecisions(data: unknown): readonly DecisionRecord[] {
  return decodeAs(answer, data, "decisions of mm-router").decisions;
}
