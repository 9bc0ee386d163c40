// Why a worker would be chosen: the plan that the handler makes for a request, told instead of carried out.
//
//   the body of a request ─▶ read ─▶ plan (images, hashes, index) ─▶ what the scheduler would decide ─▶ one item
//
// Served under the name `explain` beside our own endpoint, for `mmr explain`. The answer's form is ours alone: no release has one.
// I1  Nothing is booked, forwarded or counted as a request.
import type { RankDecision } from "@mm-router/kv";
import { AppError, decodeAs, type DegradeReason, degradeReasons, weighedRank, type WorkerKey } from "@mm-router/protocol";
import type { Handler } from "@mm-router/runtime";
import { z } from "zod";
import { lethalRequest } from "./lethal-request.ts";
import { type ReceivedRequest, readRequest } from "./received-request.ts";
import { type Quality, qualityKinds, reasonOf } from "./routing/degrade.ts";
import type { KvRouter } from "./routing/kv-router.ts";
import { type PlanGroup, qualityOf, type RoutingPlan } from "./routing/routing-plan.ts";
import type { Worker } from "./workers/worker.ts";

export const explainEndpoint = "explain";

const count = z.number().min(0);
/** A worker's data-parallel rank; the id in decimal digits, since it is a u64. */
const rank = z.object({ worker_id: z.string(), dp_rank: count });
const reason = z.object({ reason: z.string(), meaning: z.string() });

/** Workers for which the prompt has the same form. */
const kind = z.object({
  workers: z.array(z.string()),
  releases: z.array(z.string()),
  image_dialects: z.array(z.string()),
  /** Tokens of the prompt, images expanded as far as that is known. */
  routing_tokens: count,
  /** Full blocks that are sure. */
  blocks: count,
  /** Their hashes, in decimal digits: what the workers publish as `tokens_hash` once they hold them. */
  block_hashes: z.array(z.string()),
  /** Of these blocks, whatever the index says. */
  quality: z.enum(qualityKinds),
  degraded: z.array(reason),
  /** Who named the images: the request, or this router for want of names; null for pixels, URLs and text. */
  names_images: z.enum(["request", "router"]).nullable(),
  /** Why these workers must not get the request. */
  refusal: z.string().nullable(),
  /** `took_ms`: age of the overlap when the choice is made. */
  index: z.object({ asked: z.boolean(), answered: z.boolean(), took_ms: count.nullable(), degraded: z.array(reason) }),
});

const schema = z.object({
  prompt_tokens: count,
  images: count,
  kinds: z.array(kind),
  candidates: z.array(weighedRank),
  /** null: nobody would get the request. */
  choice: rank.nullable(),
  /** How sure the choice is, and why no more; null without one. */
  decision: z.object({ quality: z.enum(qualityKinds), reason: reason.nullable() }).nullable(),
  /** The ranks of the lowest cost. */
  ties: z.array(rank),
  /** Why the request would be refused by this router. */
  refusal: z.string().nullable(),
});

export type Explanation = z.output<typeof schema>;
export type ExplainedKind = Explanation["kinds"][number];

/** @throws AppError `protocol_error` when the item of another program is none */
export function decodeExplanation(data: unknown): Explanation {
  return decodeAs(schema, data, "explanation of mm-router");
}

export function createExplainer(router: Pick<KvRouter, "plan">): Handler {
  return async (incoming, sink) => {
    const request = readRequest(incoming);
    const plan = await router.plan(request, incoming.signal);
    await sink.item({ data: explanationOf(request, plan) });
  };
}

export function explanationOf(request: ReceivedRequest, plan: RoutingPlan): Explanation {
  return {
    prompt_tokens: request.tokenIds.length,
    images: request.images.length,
    kinds: plan.groups.map((group) => explainedKind(request, group)),
    ...explainedChoice(request, plan),
  };
}

type ExplainedChoice = Pick<Explanation, "candidates" | "choice" | "decision" | "ties" | "refusal">;

function explainedChoice(request: ReceivedRequest, plan: RoutingPlan): ExplainedChoice {
  try {
    const decision = plan.explain();
    if (decision === undefined) return refused("no worker serves this model");
    const { chosen, ranks, ties } = decision;
    const isChosen = (worker: Worker) => worker.instanceId === chosen.worker.workerId;
    const group = plan.groups.find(({ workers }) => workers.some(isChosen))!; // one of them
    return {
      candidates: ranks.map(explainedRank),
      choice: nameOf(chosen.worker),
      decision: explainedQuality(qualityOf(group)),
      ties: ties.map((tied) => nameOf(tied.worker)),
      refusal: lethalRequest(request, group.workers.find(isChosen)!)?.message ?? null,
    };
  } catch (error) {
    if (error instanceof AppError) return refused(error.message);
    throw error;
  }
}

/** How sure it is, and why no more. */
export function explainedQuality(quality: Quality): NonNullable<Explanation["decision"]> {
  const why = reasonOf(quality);
  return { quality: quality.kind, reason: why === undefined ? null : { reason: why, meaning: degradeReasons[why] } };
}

function refused(refusal: string): ExplainedChoice {
  return { candidates: [], choice: null, decision: null, ties: [], refusal };
}

function explainedKind({ givenHashes }: ReceivedRequest, { workers, prompt, index }: PlanGroup): ExplainedKind {
  const { islTokens, blockHashes, quality, mmHashes, refusal } = prompt;
  const degraded = reasonOf(quality);
  const takesNames = givenHashes !== undefined && workers[0]?.dialect.readsMmHashes === true;
  const missing = index?.degraded ?? [];
  const asked = index?.tookMs !== undefined;
  return {
    workers: workers.map(({ instanceId }) => `${instanceId}`),
    releases: distinct(workers.map(({ dialect }) => dialect.line)),
    image_dialects: distinct(workers.map(({ imageDialect }) => imageDialect)),
    routing_tokens: islTokens,
    blocks: blockHashes.length,
    block_hashes: Array.from(blockHashes, String),
    quality: quality.kind,
    degraded: reasonsOf(degraded === undefined ? [] : [degraded]),
    names_images: mmHashes !== undefined ? "router" : takesNames ? "request" : null,
    refusal: refusal?.message ?? null,
    index: {
      asked,
      answered: asked && missing.every((each) => each === "block-size"),
      took_ms: index?.tookMs ?? null,
      degraded: reasonsOf(missing),
    },
  };
}

export function explainedRank(decision: RankDecision): Explanation["candidates"][number] {
  return {
    ...nameOf(decision.worker),
    overlap_blocks: decision.overlapBlocks,
    active_prefill_tokens: decision.activePrefillTokens,
    active_decode_blocks: decision.activeDecodeBlocks,
    new_decode_blocks: decision.newDecodeBlocks,
    active_requests: decision.activeRequests,
    cost: decision.cost,
  };
}

function nameOf({ workerId, dpRank }: WorkerKey): z.output<typeof rank> {
  return { worker_id: `${workerId}`, dp_rank: dpRank };
}

function reasonsOf(reasons: readonly DegradeReason[]): z.output<typeof reason>[] {
  return reasons.map((each) => ({ reason: each, meaning: degradeReasons[each] }));
}

function distinct<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}
