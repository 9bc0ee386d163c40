// A request as it came: its bytes, cut open only where routing looks.
//
//   {"model":…,"token_ids":[…],…,"routing":{…},…,"multi_modal_data":{…},…,"extra_args":{"messages":…,"mm_hashes":[…]}}
//              ▲ read as u32       ▲ decoded     ▲ decoded               ▲ cut open; messages stay bytes
//
// Everything else is never looked at: it goes on as it came (forwarded-request.ts).
import { Buffer } from "node:buffer";
import {
  decodeBody,
  decodeMultiModalData,
  decodePreprocessedRequest,
  decodeRoutingHints,
  encodeBody,
  imageUrlsOf,
  type JsonValue,
  type LosslessJson,
  type MemberSpan,
  memberSpans,
  parseJson,
  parseJsonLossless,
  type RoutingHints,
  tokenIdsAt,
} from "@mm-router/protocol";
import type { RouterConfigOverride } from "@mm-router/kv";
import type { IncomingRequest } from "@mm-router/runtime";
import { z } from "zod";

export interface ReceivedRequest {
  /** JSON. */
  readonly body: Buffer;
  readonly members: ReadonlyMap<string, MemberSpan>;
  /** Empty when the request has none. */
  readonly tokenIds: Uint32Array;
  /** In prompt order; undefined for an image that comes without a URL. */
  readonly images: readonly (string | undefined)[];
  /** `extra_args.mm_hashes`: names that somebody gave the images. */
  readonly givenHashes: readonly string[] | undefined;
  /** `multi_modal_uuids`: names that win over all others in vLLM, and that TensorRT-LLM workers refuse. */
  readonly hasUuids: boolean;
  readonly routing: RoutingHints;
  /** `router_config_override`, as far as it can be used. */
  readonly override: RouterConfigOverride | undefined;
  /** Of its span, for calls that are a part of it. */
  readonly headers?: Readonly<Record<string, string>>;
}

// A term that is no term is left out: the router's opinion is optional, the request is not.
const weight = z.number().min(0).nullish().catch(undefined);
const choice = z.boolean().nullish().catch(undefined);
const configOverride = z
  .object({
    overlap_score_weight: weight,
    overlap_score_credit: weight,
    prefill_load_scale: weight,
    router_temperature: weight,
    assume_kv_reuse: choice,
    track_prefill_tokens: choice,
  })
  .nullish()
  .catch(undefined);

/** @throws AppError `protocol_error` when the body is no such request */
export function readRequest({ codec, body, headers }: Pick<IncomingRequest, "codec" | "body"> & Partial<IncomingRequest>): ReceivedRequest {
  const json = codec === "json" ? body : encodeBody("json", decodePreprocessedRequest(decodeBody(codec, body)));
  const members = memberSpans(json);
  const valueOf = (name: string) => memberValue(json, members, name);
  const tokens = members.get("token_ids");
  return {
    body: json,
    members,
    tokenIds: tokens === undefined ? new Uint32Array() : tokenIdsAt(json, tokens),
    images: members.has("multi_modal_data") ? imageUrlsOf({ multi_modal_data: decodeMultiModalData(valueOf("multi_modal_data")) }) : [],
    givenHashes: givenHashesOf(json, members),
    hasUuids: objectBytes(json, members, "multi_modal_uuids") !== undefined,
    routing: decodeRoutingHints(valueOf("routing")),
    override: overrideOf(valueOf("router_config_override")),
    ...(headers && { headers }),
  };
}

function overrideOf(value: unknown): RouterConfigOverride | undefined {
  return value === undefined || value === null ? undefined : (configOverride.parse(value) ?? undefined);
}

/** The bytes of a member that is an object; undefined when it is absent or something else. */
export function objectBytes(json: Buffer, members: ReadonlyMap<string, MemberSpan>, name: string): Buffer | undefined {
  const span = members.get(name);
  const bytes = span && json.subarray(span.start, span.end);
  return bytes?.[0] === 0x7b /* { */ ? bytes : undefined;
}

/** The decoded value of a top-level member. */
export function memberValue(json: Buffer, members: ReadonlyMap<string, MemberSpan>, name: string): unknown {
  const span = members.get(name);
  return span === undefined ? undefined : parseJson(json.subarray(span.start, span.end));
}

/** `mm_routing_info.routing_token_ids` without the filling at its end: the prompt as the frontend expanded it (≥ 1.4). */
export function frontendTokensOf({ body, members }: ReceivedRequest): Uint32Array | undefined {
  const info = objectBytes(body, members, "mm_routing_info");
  const spans = info && memberSpans(info);
  const tokens = spans?.get("routing_token_ids");
  if (info === undefined || spans === undefined || tokens === undefined) return undefined;
  const length = memberValue(info, spans, "expanded_prompt_len");
  return tokenIdsAt(info, tokens).subarray(0, typeof length === "number" ? length : undefined);
}

/** `mm_processor_kwargs`; undefined where the request has none. */
export function processorOptionsOf({ body, members }: ReceivedRequest): Record<string, JsonValue> | undefined {
  const options = objectBytes(body, members, "mm_processor_kwargs");
  return options && (parseJson(options) as Record<string, JsonValue>);
}

/** `extra_args.messages`; undefined where the request has none. */
export function messagesOf({ body, members }: ReceivedRequest): LosslessJson | undefined {
  const extraArgs = objectBytes(body, members, "extra_args");
  const span = extraArgs && memberSpans(extraArgs).get("messages");
  return extraArgs && span && parseJsonLossless(extraArgs.subarray(span.start, span.end));
}

function givenHashesOf(json: Buffer, members: ReadonlyMap<string, MemberSpan>): string[] | undefined {
  const extraArgs = objectBytes(json, members, "extra_args");
  if (extraArgs === undefined) return undefined;
  const hashes = memberValue(extraArgs, memberSpans(extraArgs), "mm_hashes");
  return Array.isArray(hashes) && hashes.every((hash) => typeof hash === "string") ? hashes : undefined;
}
