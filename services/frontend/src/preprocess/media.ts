// Pictures, videos and sounds of a chat: references, taken out of the messages in prompt order.
//
//   messages   [… {"type":"image_url","image_url":{"url":"data:…"}} …]
//   data       multi_modal_data {"image_url": [{"Url": "data:…"}, …], "video_url": […], "audio_url": […]}
//   uuids      multi_modal_uuids {"image_url": ["abc", null]}, only when a part has a `uuid`
//   messages   the same with `data:` URLs blanked, for extra_args.messages: the request carries each picture once
//
// What names a picture: image-names.ts.
// Source: Dynamo 1.6.1 (blanking; ≤ 1.5 sends pictures twice); evidence: golden frontend img.*, wire frontend-to-tokens-worker-images.
// I1  The n-th reference belongs to the n-th placeholder of the prompt: parts are taken in message order.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import type { RequestLimits } from "./limits.ts";
import type { JsonMap } from "./shape.ts";

const mediaKinds = ["image_url", "video_url", "audio_url"] as const;
type MediaKind = (typeof mediaKinds)[number];

export interface MediaReferences {
  readonly data: JsonMap;
  readonly uuids: JsonMap | undefined;
  readonly messages: readonly JsonMap[];
  /** In prompt order. */
  readonly imageUrls: readonly string[];
}

interface MediaPart {
  readonly kind: MediaKind;
  readonly url: string;
  readonly uuid: string | null;
}

/**
 * @param messages typed messages (message-shape.ts)
 * @returns undefined when there are no media parts
 * @throws AppError `invalid_request`, `too_many_images`, `image_too_large` or `image_forbidden` (status 400 as upstream)
 */
export function mediaReferences(messages: readonly JsonMap[], limits: RequestLimits): MediaReferences | undefined {
  const parts = messages
    .flatMap(contentParts)
    .map(mediaPartOf)
    .filter((part) => part !== undefined);
  if (parts.length === 0) return undefined;
  for (const part of parts) checkPart(part, limits);
  const imageUrls = parts.filter((part) => part.kind === "image_url").map(({ url }) => url);
  if (imageUrls.length > limits.imagesMax)
    throw new AppError("too_many_images", `the request has ${imageUrls.length} images, the limit is ${limits.imagesMax}`);
  return {
    data: byKind(parts, (part) => new Map([["Url", part.url]])),
    uuids: uuidsOf(parts),
    messages: messages.map(withoutDataUrls),
    imageUrls,
  };
}

function contentParts(message: JsonMap): JsonMap[] {
  const content = message.get("content");
  return Array.isArray(content) ? (content as JsonMap[]) : [];
}

function mediaPartOf(part: JsonMap): MediaPart | undefined {
  const kind = mediaKinds.find((each) => each === part.get("type"));
  if (kind === undefined) return undefined;
  return { kind, url: (part.get(kind) as JsonMap).get("url") as string, uuid: (part.get("uuid") as string | undefined) ?? null };
}

function checkPart({ kind, url }: MediaPart, limits: RequestLimits): void {
  if (url === "") throw new AppError("invalid_request", `a part of type ${kind} has an empty url`);
  if (url.startsWith("data:") && url.length > limits.dataUrlLengthMax) {
    throw new AppError(
      "image_too_large",
      `a data: URL has ${url.length} characters, the limit is ${limits.dataUrlLengthMax} (DYN_MM_MAX_DATA_URL_MB)`,
      { status: 400 },
    );
  }
  if (kind === "image_url" && !limits.allowInternalUrls && namesAddress(url)) {
    throw new AppError("image_forbidden", `Direct IP access is not allowed: ${new URL(url).host}`, { status: 400 });
  }
}

/** Whether an http(s) URL names its machine by address instead of by name; the URL parser has unfolded `http://2130706433/` and its like. */
function namesAddress(url: string): boolean {
  if (!/^https?:/.test(url)) return false;
  const { hostname } = new URL(url);
  return hostname === "localhost" || hostname.startsWith("[") || /^\d+\.\d+\.\d+\.\d+$/.test(hostname);
}

function uuidsOf(parts: readonly MediaPart[]): JsonMap | undefined {
  const named = new Set(parts.filter((part) => part.uuid !== null).map((part) => part.kind));
  if (named.size === 0) return undefined;
  return byKind(
    parts.filter((part) => named.has(part.kind)),
    (part) => part.uuid,
  );
}

function byKind(parts: readonly MediaPart[], entryOf: (part: MediaPart) => LosslessJson): JsonMap {
  const grouped: JsonMap = new Map();
  for (const kind of mediaKinds) {
    const entries = parts.filter((part) => part.kind === kind).map(entryOf);
    if (entries.length > 0) grouped.set(kind, entries);
  }
  return grouped;
}

function withoutDataUrls(message: JsonMap): JsonMap {
  const parts = contentParts(message);
  return parts.length === 0 ? message : new Map(message).set("content", parts.map(blankedPart));
}

function blankedPart(part: JsonMap): JsonMap {
  const media = mediaPartOf(part);
  if (media === undefined || !media.url.startsWith("data:")) return part;
  return new Map(part).set(media.kind, new Map(part.get(media.kind) as JsonMap).set("url", ""));
}
