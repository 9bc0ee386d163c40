// A stream of which the first batch has been looked at.
import type { ResponseStream } from "@mm-router/runtime";

type Batches = AsyncIterator<readonly Buffer[]>;

/** The stream with this as its first batch, and what its iterator gives from then on. */
export function begunStream(stream: ResponseStream, first: ReturnType<Batches["next"]>, batches: Batches): ResponseStream {
  return { instanceId: stream.instanceId, cancel: () => stream.cancel(), [Symbol.asyncIterator]: () => continued(first, batches) };
}

function continued(first: ReturnType<Batches["next"]>, batches: Batches): Batches {
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
