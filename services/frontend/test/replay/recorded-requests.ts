// The requests of golden frontend/requests.json, as they were sent.
import { type LosslessJson, parseJsonLossless, stringifyJsonLossless } from "@mm-router/protocol";
import { goldenText } from "@mm-router/testkit/golden";
import type { RecordedRequest } from "./http-client.ts";

type LosslessMap = Map<string, LosslessJson>;
const cases = (parseJsonLossless(goldenText("frontend/requests.json")) as LosslessMap).get("cases") as LosslessMap[];

export const recordedIds: readonly string[] = cases.map((each) => each.get("id") as string);

/** @returns undefined for an unknown id */
export function recordedRequest(id: string): RecordedRequest | undefined {
  const recorded = cases.find((each) => each.get("id") === id);
  if (recorded === undefined) return undefined;
  const given = Object.fromEntries(recorded.get("headers") as Map<string, string>);
  const body = bodyOf(recorded);
  const headers = {
    ...(body !== undefined && { "content-type": "application/json", "content-length": `${Buffer.byteLength(body)}` }),
    ...given,
  };
  if (headers["content-type"] === "") delete headers["content-type"];
  return { method: recorded.get("method") as string, path: recorded.get("path") as string, headers, body };
}

function bodyOf(recorded: LosslessMap): string | undefined {
  const raw = recorded.get("raw") as string | undefined;
  if (raw === "BIG") return JSON.stringify({ model: "x".repeat(48 * 1024 * 1024) });
  const written = recorded.get("body") ?? null;
  return raw ?? (written === null ? undefined : stringifyJsonLossless(written));
}
