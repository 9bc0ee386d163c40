// A stream whose first item is an error, told before the answer's head goes out: it has a status then, which clients retry by.
//
// Source: Dynamo 1.6.1 (DYN_HTTP_PRE_COMMIT_ERROR_PEEK_MS); evidence: golden frontend variants (peek).
import { errorOf, toAppError } from "@mm-router/protocol";
import { type ResponseStream, withDeadline } from "@mm-router/runtime";
import { itemOfFrame } from "../postprocess/item-frame.ts";
import { begunStream } from "./begun-stream.ts";

const waitedFor = "the first item";

/**
 * Waits for the first batch of a stream, but not longer than `waitMs`.
 *
 * @returns the same stream, still whole
 * @throws AppError when the stream begins with an error or ends with one before the first item
 */
export async function pastEarlyError(stream: ResponseStream, waitMs: number): Promise<ResponseStream> {
  const batches = stream[Symbol.asyncIterator]();
  const first = batches.next();
  first.catch(() => {}); // thrown again below, or by whoever reads on
  const early = await withDeadline(first, waitMs, waitedFor).catch(undefinedWhenLate);
  const [frame] = early?.done === true ? [] : (early?.value ?? []);
  const error = frame && errorOf(itemOfFrame(frame));
  if (error !== undefined) {
    stream.cancel();
    throw error;
  }
  return begunStream(stream, first, batches);
}

/** No item in time is no error: the stream begins without it. */
function undefinedWhenLate(error: unknown): undefined {
  if (toAppError(error).details["what"] !== waitedFor) throw error;
}
