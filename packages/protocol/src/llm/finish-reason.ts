// Why a choice ended: the worker's word, and OpenAI's.
//
// Source: finish reasons sent through real frontends (golden/wire/worker-outcome-to-http.json): any other text, also the
// bare "error", is a decode error for every release.
import { AppError } from "../errors.ts";

export type FinishReason = "eos" | "length" | "stop" | "cancelled" | "content_filter" | { readonly error: string };

const names: ReadonlySet<unknown> = new Set(["eos", "length", "stop", "cancelled", "content_filter"]);

/** @throws AppError `protocol_error` for what no release understands */
export function decodeFinishReason(value: unknown): FinishReason {
  if (names.has(value)) return value as FinishReason;
  if (typeof value === "object" && value !== null && "error" in value) return { error: String(value.error) };
  throw new AppError("protocol_error", `unknown finish reason ${JSON.stringify(value)?.slice(0, 80)}`);
}

/** What an OpenAI client reads; undefined for an error, which is no end of a choice. */
export function openAiFinishReason(reason: FinishReason): "stop" | "length" | "content_filter" | undefined {
  if (typeof reason !== "string") return undefined;
  return reason === "length" || reason === "content_filter" ? reason : "stop";
}
