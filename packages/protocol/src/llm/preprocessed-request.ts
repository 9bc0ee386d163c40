// The request of a Tokens worker, as a frontend writes it.
//
//   {"model","token_ids":[…],"stop_conditions":{…},"sampling_options":{…},"output_options":{…},"eos_token_ids":[…],
//    "mdc_sum","annotations":[…],"routing":{…},"router_config_override":null,
//    ["multi_modal_data":{"image_url":[{"Url":…},…]},] ["extra_args":{…},] ["mm_routing_info":{…},] …}
//
// Source: bodies of real frontends (golden/wire/frontend-to-tokens-worker*.json) and of what upstream's router makes of
// them (golden/peer/*.json).
// I1  Images are in `multi_modal_data.image_url`, in prompt order; `extra_args.messages` may hold empty URLs.
// I2  Members we do not know are kept. A health check has neither model nor annotations nor output options.
import { Buffer } from "node:buffer";
import { z } from "zod";
import { decodeAs } from "../schema.ts";

const tokenId = z.number().int().min(0).max(0xffffffff);

/** 1.6 also sends packed little-endian int32. */
const tokenIds = z.union([z.array(tokenId), z.instanceof(Uint8Array).transform(unpackedTokens)]);

const tokenIdList = z.array(tokenId).nullish();

const stopConditions = z.looseObject({
  max_tokens: z.number().nullish(),
  stop: z.array(z.string()).nullish(),
  stop_token_ids: tokenIdList,
  stop_token_ids_visible: tokenIdList,
  stop_token_ids_hidden: tokenIdList,
  min_tokens: z.number().nullish(),
  ignore_eos: z.boolean().nullish(),
});

/** `{"Url": …}`; workers also take a plain string. `{"Decoded": …}` and `{"UuidOnly": …}` have no URL. */
const image = z.union([z.looseObject({ Url: z.string().optional() }), z.string()]);

const multiModalData = z.looseObject({ image_url: z.array(image).nullish() });

const u64 = z.union([z.number().int().nonnegative(), z.bigint()]);

/** Hints of a request that has none. */
const noHints: RoutingHints = Object.freeze({});

const routingHints = z.looseObject({
  backend_instance_id: u64.nullish(),
  dp_rank: z.number().int().nonnegative().nullish(),
  lora_name: z.string().nullish(),
  cache_salt: z.string().nullish(),
  expected_output_tokens: z.number().nullish(),
  priority: z.number().nullish(),
  priority_jump: z.number().nullish(),
  strict_priority: z.number().nullish(),
  allowed_worker_ids: z.array(u64).nullish(),
});

const preprocessedRequest = z.looseObject({
  model: z.string().nullish(),
  token_ids: tokenIds,
  stop_conditions: stopConditions.nullish(),
  sampling_options: z.looseObject({}).nullish(),
  output_options: z.looseObject({}).nullish(),
  eos_token_ids: tokenIdList,
  mdc_sum: z.string().nullish(),
  annotations: z.array(z.string()).nullish(),
  routing: routingHints.nullish(),
  multi_modal_data: multiModalData.nullish(),
  extra_args: z.looseObject({}).nullish(),
});

export type PreprocessedRequest = z.output<typeof preprocessedRequest>;
export type RoutingHints = z.output<typeof routingHints>;

/** @throws AppError `protocol_error` that names the member */
export function decodePreprocessedRequest(value: unknown): PreprocessedRequest {
  return decodeAs(preprocessedRequest, value, "preprocessed request");
}

/** Hints alone, for readers that do not decode the whole request. */
export function decodeRoutingHints(value: unknown): RoutingHints {
  return value === undefined || value === null ? noHints : decodeAs(routingHints, value, "routing hints");
}

/** URLs of a request's images, in prompt order (I1); undefined where an image comes without one. */
export function imageUrlsOf(request: Pick<PreprocessedRequest, "multi_modal_data">): (string | undefined)[] {
  return (request.multi_modal_data?.image_url ?? []).map((image) => (typeof image === "string" ? image : image.Url));
}

/** The media of a request alone, for readers that do not decode the whole of it. */
export function decodeMultiModalData(value: unknown): PreprocessedRequest["multi_modal_data"] {
  return value === undefined || value === null ? undefined : decodeAs(multiModalData, value, "multi_modal_data");
}

function unpackedTokens(packed: Uint8Array): number[] {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readUInt32LE(i * 4));
}
