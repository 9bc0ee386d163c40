// The body of a request to a Tokens worker, as JSON text.
//
//   {"model","token_ids":[…],["multi_modal_data"],["multi_modal_uuids"],"stop_conditions":{…},"sampling_options":{…},
//    "output_options":{…},"eos_token_ids":[…],"mdc_sum","annotations":[…],"routing":{…},"router_config_override":null,
//    ["extra_args"],["mm_processor_kwargs"],["media_io_kwargs"],["agent_context"],["image_cache_scope"],["require_reasoning"]}
//
// Source: Dynamo 1.6.1, key order included; workers of 0.9 … 1.6 read it. Evidence: golden wire frontend-to-tokens-worker*.
// I1  Members outside the brackets are always there, null when nothing was said.
import { type LosslessJson, routingQualityAnnotation, stringifyJsonLossless } from "@mm-router/protocol";
import { sessionMembers } from "./agent-session.ts";
import type { MediaReferences } from "./media.ts";
import { type RequestHints, routingOf } from "./request-hints.ts";
import { extraSamplingOptions, outputOptions, type SamplingMembers, samplingOptions, stopConditions } from "./sampling.ts";
import type { JsonMap } from "./shape.ts";
import type { ThinkingNote } from "./thinking-note.ts";

export interface WorkerRequest {
  readonly model: string;
  readonly members: SamplingMembers;
  readonly tokenIds: Uint32Array;
  /** The rendered prompt, told beside images. */
  readonly formattedPrompt: string | undefined;
  readonly media: MediaReferences | undefined;
  /** One per picture. */
  readonly imageNames?: readonly string[] | undefined;
  readonly eosTokenIds: readonly number[];
  /** Checksum of the model card that was used. */
  readonly sum: string;
  /** Alternatives per token asked of the engine. */
  readonly logprobs: number | undefined;
  readonly hints: RequestHints;
  /** The adapter that the worker is to use. */
  readonly loraName?: string | undefined;
  readonly thinking?: ThinkingNote | undefined;
  /** mm-router is to say how sure it was of its choice. */
  readonly asksQuality?: boolean;
}

export function workerRequestBody(request: WorkerRequest): Buffer {
  const { members, media, hints, eosTokenIds } = request;
  const rest: JsonMap = new Map();
  set(rest, "multi_modal_data", media?.data);
  set(rest, "multi_modal_uuids", media?.uuids);
  rest.set("stop_conditions", stopConditions(members, eosTokenIds));
  rest.set("sampling_options", samplingOptions(members));
  rest.set("output_options", outputOptions(members, request.logprobs));
  rest.set("eos_token_ids", members.ignore_eos === true ? [] : [...eosTokenIds]);
  rest.set("mdc_sum", request.sum);
  rest.set("annotations", annotationsOf(request));
  rest.set("routing", routingOf(hints, request.loraName));
  rest.set("router_config_override", null);
  set(rest, "extra_args", extraArgs(request));
  set(rest, "mm_processor_kwargs", members.mm_processor_kwargs);
  set(rest, "media_io_kwargs", members.media_io_kwargs);
  for (const [name, value] of sessionMembers(hints.session, members.messages)) rest.set(name, value);
  // Token ids are most of the text: joined here, they need no array of their own.
  const head = `{"model":${JSON.stringify(request.model)},"token_ids":[${request.tokenIds.join(",")}],`;
  if (request.thinking?.required === true) rest.set("require_reasoning", true);
  return Buffer.from(head + stringifyJsonLossless(rest).slice(1));
}

function annotationsOf({ members, asksQuality }: WorkerRequest): string[] {
  const wanted = members.nvext?.annotations ?? [];
  return asksQuality === true && !wanted.includes(routingQualityAnnotation) ? [...wanted, routingQualityAnnotation] : wanted;
}

function extraArgs({ members, media, imageNames, hints, formattedPrompt, thinking }: WorkerRequest): JsonMap | undefined {
  const extra: JsonMap = new Map();
  if (media !== undefined) {
    extra.set("messages", [...media.messages]);
    set(extra, "formatted_prompt", formattedPrompt);
    set(extra, "mm_hashes", imageNames && [...imageNames]);
  }
  set(extra, "nvext", nvextArgs(members, hints));
  set(extra, "sampling_options", extraSamplingOptions(members));
  set(extra, "reasoning_parser_kwargs", thinking?.kwargs && new Map([["chat_template_kwargs", thinking.kwargs]]));
  return extra.size === 0 ? undefined : extra;
}

function nvextArgs({ nvext }: SamplingMembers, { cacheSalt }: RequestHints): JsonMap | undefined {
  const args: JsonMap = new Map();
  set(args, "extra_fields", nvext?.extra_fields);
  set(args, "cache_salt", cacheSalt);
  set(args, "token_in", nvext?.token_data === undefined ? undefined : true);
  return args.size === 0 ? undefined : args;
}

function set(members: JsonMap, name: string, value: LosslessJson | undefined): void {
  if (value !== undefined) members.set(name, value);
}
