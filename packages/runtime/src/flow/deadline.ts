// A limit on how long one wait may take.
import { AppError } from "@mm-router/protocol";

/**
 * Waits for `work`, at most `ms` milliseconds.
 *
 * @param work   a promise, or a function that gets a signal which aborts at the deadline (and when `parent` aborts)
 * @param what   subject of the error's sentence: "the index query"
 * @param parent passed on to `work`; this function does not end by it, `work` does
 * @throws AppError `deadline_exceeded` with `details.what`, or what `work` rejects with
 */
export async function withDeadline<T>(
  work: PromiseLike<T> | ((signal: AbortSignal) => PromiseLike<T>),
  ms: number,
  what: string,
  parent?: AbortSignal,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const abort = typeof work === "function" ? new AbortController() : undefined;
  const timer = setTimeout(() => {
    const error = new AppError("deadline_exceeded", `${what} took longer than ${ms} ms`, { details: { what, deadline_ms: ms } });
    late.reject(error);
    abort?.abort(error);
  }, ms);
  try {
    if (typeof work !== "function") return await Promise.race([work, late.promise]);
    const { signal } = abort!; // made above for a function
    return await Promise.race([work(parent === undefined ? signal : AbortSignal.any([signal, parent])), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
