// A completion request as the client sent it, typed.
//
// Source: Dynamo 1.6.1, NvCreateCompletionRequest; evidence: golden frontend cmpl.*, ctx.*.
import type { LosslessJson } from "@mm-router/protocol";
import { nvext } from "./nvext.ts";
import { commonMembers, type ParsedBody, parseBody, passThroughMembers } from "./request-members.ts";
import { either, list, struct, type StructOf, text, u8, u32, yesNo } from "./shape.ts";

export type Prompt = string | string[] | number[] | number[][];
const prompt = either<Prompt>("untagged enum Prompt", text, list(text), list(u32), list(list(u32)));

const required = { model: text, prompt };
const optional = { ...commonMembers, ...passThroughMembers, suffix: text, logprobs: u8, echo: yesNo, best_of: u8, nvext };

export type CompletionMembers = StructOf<typeof required, typeof optional>;

export interface CompletionRequest extends ParsedBody<CompletionMembers> {
  readonly kind: "completion";
}

/** @throws AppError `invalid_request` for another shape */
export function parseCompletionRequest(body: LosslessJson): CompletionRequest {
  return { kind: "completion", ...parseBody((options) => struct("NvCreateCompletionRequest", required, optional, options), body) };
}
