// The request for the worker: the received bytes, changed in at most three places.
//
//   routing.dp_rank          the chosen rank; every other member of routing stays
//   extra_args.mm_hashes     names of the images, where we chose them and the worker reads them
//   extra_args.messages      `data:` URLs that the frontend blanked, put back for workers that build the prompt from messages
//
// Upstream's router builds a new request from nine members and loses the rest (golden/peer/*.json).
// I1  Every byte outside these places is the received one: members we do not know, number forms, order.
import type { Buffer } from "node:buffer";
import { memberSpans, parseJsonLossless, spliceMembers, stringifyJson, stringifyJsonLossless } from "@mm-router/protocol";
import { restoreImageUrls } from "./image-urls.ts";
import { objectBytes, type ReceivedRequest } from "./received-request.ts";

export interface RequestChanges {
  readonly dpRank: number;
  /** One 16-digit name per image. */
  readonly mmHashes?: readonly string[] | undefined;
  /** The worker reads the images' URLs in `extra_args.messages`. */
  readonly restoreUrls?: boolean;
}

export function forwardedBody(request: ReceivedRequest, changes: RequestChanges): Buffer {
  const { body, members } = request;
  const replaced = new Map<string, string | Uint8Array>([["routing", routingWith(request, changes.dpRank)]]);
  const extraArgs = changedExtraArgs(request, changes);
  if (extraArgs !== undefined) replaced.set("extra_args", extraArgs);
  return spliceMembers(body, replaced, members);
}

function routingWith({ body, members }: ReceivedRequest, dpRank: number): string | Buffer {
  const routing = objectBytes(body, members, "routing");
  return routing === undefined ? `{"dp_rank":${dpRank}}` : spliceMembers(routing, new Map([["dp_rank", `${dpRank}`]]));
}

/** undefined: as received. */
function changedExtraArgs(request: ReceivedRequest, { mmHashes, restoreUrls }: RequestChanges): Buffer | string | undefined {
  const extraArgs = objectBytes(request.body, request.members, "extra_args");
  if (extraArgs === undefined) return mmHashes && stringifyJson({ mm_hashes: mmHashes });
  const changes = new Map<string, string>();
  if (mmHashes !== undefined) changes.set("mm_hashes", stringifyJson(mmHashes));
  const spans = memberSpans(extraArgs);
  const messages = spans.get("messages");
  if (restoreUrls && messages !== undefined) {
    const restored = restoreImageUrls(parseJsonLossless(extraArgs.subarray(messages.start, messages.end)), request.images);
    if (restored !== undefined) changes.set("messages", stringifyJsonLossless(restored));
  }
  return changes.size === 0 ? undefined : spliceMembers(extraArgs, changes, spans);
}
