// The worker's answer, passed on as bytes.
//
//   worker ── batch of data frames ──▶ peek ──▶ the same bytes ──▶ caller         one write per batch, backpressure both ways
//
// Frames of tokens are recognised by how they begin and are not parsed. The rest (errors, events) is rare and is decoded:
// an error item is written anew so that a frontend of any release reads its text and status; real workers of one release
// write error types that frontends of another cannot parse (golden/wire/worker-outcome-to-http.json).
// I1  Tokens are passed on byte by byte, in order, in the batches in which they came.
// I2  A connection-type error of a worker is never passed on: the caller would set *us* aside for seconds.
import { Buffer } from "node:buffer";
import { AppError, type BodyCodec, decodeDataFrame, errorItem, errorOf } from "@mm-router/protocol";
import type { ResponseSink, ResponseStream } from "@mm-router/runtime";

export interface RelayOptions {
  readonly codec: BodyCodec;
  /** Told the number of items of each batch, from the first one with tokens on. */
  readonly onItems: (items: number) => void;
}

export type RelayEnd =
  /** `cachedTokens`: prompt tokens that the worker says it had in its cache. */
  | { readonly kind: "ended"; readonly cachedTokens?: number }
  /** The worker named an error, which was passed on, and ended its stream. */
  | { readonly kind: "failed"; readonly error: AppError }
  /** The worker broke off, or said that it is going; nothing was passed on about it. */
  | { readonly kind: "lost"; readonly error: AppError; readonly afterItems: boolean };

/** Errors with which a worker announces that it is going. */
const goingTypes: ReadonlySet<unknown> = new Set(["EngineShutdown", "Disconnected", "CannotConnect", "StreamIncomplete"]);

/**
 * Passes a stream on until its end.
 *
 * @throws AppError `client_closed` when the caller left
 */
export async function relay(stream: ResponseStream, sink: ResponseSink, options: RelayOptions): Promise<RelayEnd> {
  const progress: Progress = { items: 0, tokensCame: false };
  try {
    for await (const frames of stream) await passOn(frames, sink, options, progress);
  } catch (error) {
    if (progress.failure !== undefined) return { kind: "failed", error: progress.failure }; // many clients leave at an error
    if (!(error instanceof AppError) || error.code === "client_closed") throw error;
    return { kind: "lost", error, afterItems: progress.items > 0 };
  }
  if (progress.failure !== undefined) return { kind: "failed", error: progress.failure };
  const cachedTokens = progress.last === undefined ? undefined : cachedTokensOf(progress.last);
  return cachedTokens === undefined ? { kind: "ended" } : { kind: "ended", cachedTokens };
}

interface Progress {
  /** Passed on so far. */
  items: number;
  tokensCame: boolean;
  failure?: AppError;
  /** The newest frame; that of a choice's end tells its usage. */
  last?: Buffer | undefined;
}

async function passOn(frames: readonly Buffer[], sink: ResponseSink, { codec, onItems }: RelayOptions, progress: Progress): Promise<void> {
  progress.tokensCame ||= frames.some(hasTokens);
  if (progress.tokensCame) onItems(frames.length);
  progress.last = frames.at(-1);
  if (codec === "json" && frames.every(isPlainItem)) {
    progress.items += frames.length;
    return sink.frames(frames);
  }
  for (const frame of frames) await passOneOn(frame, sink, progress);
}

/** For a batch with something else than tokens in it, and for callers with another codec. */
async function passOneOn(frame: Buffer, sink: ResponseSink, progress: Progress): Promise<void> {
  const { item } = decodeDataFrame("json", frame);
  if (item === undefined) return;
  const error = errorOf(item);
  if (error !== undefined && goingTypes.has(error.details["error_type"])) throw error; // I2
  if (error !== undefined) progress.failure = error;
  progress.items++;
  await sink.item(error === undefined ? item : errorItem(error));
}

/** How every release writes an item with data: `{"data":{"data":…`. */
const plainStart = Buffer.from('{"data":{"data":');
const tokenIds = Buffer.from('"token_ids":[');
const cachedTokens = Buffer.from('"cached_tokens":');
const closeBracket = 0x5d;
/** More digits than any count of tokens has. */
const digitsMax = 12;

/** Byte by byte: `compare` costs more than the whole look, once per token. */
function isPlainItem(frame: Buffer): boolean {
  for (let at = 0; at < plainStart.length; at++) if (frame[at] !== plainStart[at]) return false;
  return true;
}

function hasTokens(frame: Buffer): boolean {
  const at = frame.indexOf(tokenIds);
  return at >= 0 && frame[at + tokenIds.length] !== closeBracket;
}

function cachedTokensOf(frame: Buffer): number | undefined {
  const at = frame.indexOf(cachedTokens);
  if (at < 0) return undefined;
  const digits = /^\d+/.exec(frame.toString("latin1", at + cachedTokens.length, at + cachedTokens.length + digitsMax));
  return digits === null ? undefined : Number(digits[0]);
}
