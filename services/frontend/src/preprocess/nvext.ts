// `nvext`: what a client says to Dynamo rather than to the model.
//
// Source: Dynamo 1.6.1, nvext.rs; an unknown member is refused (golden frontend nv.*), unknown `extra_fields` are ignored.
import type { LosslessJson } from "@mm-router/protocol";
import type { ParsedBody } from "./request-members.ts";
import { anything, type Decoder, f32, i32, list, ShapeMismatch, struct, text, u32, u64, yesNo } from "./shape.ts";

const agentHints = struct(
  "AgentHints",
  {},
  { priority: i32, strict_priority: u32, osl: u32, latency_sensitivity: f32, speculative_prefill: yesNo },
);

const members = {
  greed_sampling: yesNo,
  use_raw_prompt: yesNo,
  annotations: list(text),
  backend_instance_id: u64,
  token_data: list(u32),
  max_thinking_tokens: u32,
  cache_salt: text,
  extra_fields: list(text),
  metadata_upload: anything,
  prefill_worker_id: u64,
  decode_worker_id: u64,
  dp_rank: u32,
  prefill_dp_rank: u32,
  agent_hints: agentHints,
  request_timestamp_ms: anything,
  routing_constraints: anything,
  router: anything,
};

const names = Object.keys(members);
const decode = struct("NvExt", {}, members, {
  unknown: (name) => {
    throw new ShapeMismatch(`unknown field \`${name}\`, expected one of ${names.map((known) => `\`${known}\``).join(", ")}`);
  },
});

export type Nvext = ReturnType<typeof decode>;
export const nvext: Decoder<Nvext> = (value: LosslessJson) => decode(value);

/** The request as if it had none (`DYN_DISABLE_FRONTEND_NVEXT`): its shape was looked at all the same. */
export function withoutNvext<R extends ParsedBody<{ readonly nvext?: Nvext }>>(request: R): R {
  const { nvext: _, ...members } = request.members;
  return { ...request, members, raw: new Map([...request.raw].filter(([name]) => name !== "nvext")) };
}
