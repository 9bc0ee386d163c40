// A stream whose first item is an error, told before the answer's head goes out: it has a status then, which clients retry by.
//
// Source: Dynamo 1.6.1 (DYN_HTTP_PRE_COMMIT_ERROR_PEEK_MS); evidence: golden frontend variants (peek).
import { errorOf, toAppError } from "@mm-router/protocol";
import { type ResponseStream, withDeadline } from "@mm-router/runtime";
import { itemOfFrame } from "../postprocess/item-frame.ts";

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
  return { instanceId: stream.instanceId, cancel: () => stream.cancel(), [Symbol.asyncIterator]: () => continued(first, batches) };
}

/** No item in time is no error: the stream begins without it. */
function undefinedWhenLate(error: unknown): undefined {
  if (toAppError(error).details["what"] !== waitedFor) throw error;
}

/** The iterator from its first batch on, which has been asked for already. */
function continued(
  first: Promise<IteratorResult<readonly Buffer[]>>,
  batches: AsyncIterator<readonly Buffer[]>,
): AsyncIterator<readonly Buffer[]> {
  let begun = false;
  return {
    next: () => {
      if (begun) return batches.next();
      begun = true;
      return first;
    },
    return: async () => (await batches.return?.()) ?? { done: true, value: undefined },
  };
}
