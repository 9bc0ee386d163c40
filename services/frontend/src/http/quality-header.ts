// How sure mm-router was of its choice, as a header of the answer: off unless asked for (`--quality-header`).
//
//   annotations: […, "routing_quality"]             ─▶ mm-router
//   {"event":"routing_quality","comment":["{…}"]}   ◀─ its first item, before all data
//   x-mm-router-quality: degraded;reason=timeout       one value per prompt; the event itself only for clients that asked for it
//
// The answer's head waits for a stream's first item, as a status of early errors does. Behind anything else than an mm-router that is the
// first token, and there is no header.
import { parseJson, routingQualityAnnotation } from "@mm-router/protocol";
import type { ResponseStream } from "@mm-router/runtime";
import { z } from "zod";
import { itemOfFrame } from "../postprocess/item-frame.ts";
import { begunStream } from "./begun-stream.ts";

export const qualityHeader = "x-mm-router-quality";

/** Words that are safe in a header: whatever answers as an instance writes them. */
const word = z.string().regex(/^[a-z0-9_-]{1,64}$/);
const told = z.object({ quality: word, reason: word.nullish() });

export interface QualifiedStream {
  /** The header's value; undefined: the stream does not begin with it. */
  readonly quality: string | undefined;
  readonly stream: ResponseStream;
}

/**
 * Waits for the first item.
 *
 * @param keeps whether the event stays in the stream
 * @throws AppError when the stream ends with one before
 */
export async function qualityOf(stream: ResponseStream, keeps: boolean): Promise<QualifiedStream> {
  const batches = stream[Symbol.asyncIterator]();
  const first = await batches.next();
  const frames = first.done === true ? [] : first.value;
  const quality = frames[0] && qualityIn(frames[0]);
  const left = quality === undefined || keeps ? first : { done: false, value: frames.slice(1) };
  return { quality, stream: begunStream(stream, Promise.resolve(left), batches) };
}

function qualityIn(frame: Buffer): string | undefined {
  const { event, comment } = itemOfFrame(frame);
  if (event !== routingQualityAnnotation) return undefined;
  const { data } = told.safeParse(jsonOf(comment?.[0]));
  if (data === undefined) return undefined;
  return data.reason == null ? data.quality : `${data.quality};reason=${data.reason}`;
}

function jsonOf(text: string | undefined): unknown {
  try {
    return parseJson(text ?? "");
  } catch {
    return undefined;
  }
}
