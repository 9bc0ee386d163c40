// A stream that tells once when it is over, however it ends: read to its end, failed, left early, cancelled, or never read because
// its request was given up.
import type { ResponseStream } from "@mm-router/runtime";

/** @param signal of the request */
export function countedStream(stream: ResponseStream, signal: AbortSignal, over: () => void): ResponseStream {
  let isOver = false;
  const end = () => {
    if (!isOver) over();
    isOver = true;
  };
  signal.addEventListener("abort", end, { once: true });
  return {
    instanceId: stream.instanceId,
    cancel: () => {
      end();
      stream.cancel();
    },
    async *[Symbol.asyncIterator]() {
      try {
        yield* stream;
      } finally {
        end();
      }
    },
  };
}
