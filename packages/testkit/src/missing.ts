// Something real that a test needs and this machine does not have.

/** Thrown when it cannot be installed either; `requires` makes a skip of it, or a failure under `CI=true`. */
export class Missing extends Error {
  override readonly name = "Missing";
  readonly reason: string;
  readonly remedy: string;

  /** @param remedy what the reader can do, as the end of a sentence */
  constructor(reason: string, remedy: string, cause?: unknown) {
    super(`${reason}; remedy: ${remedy}`, { cause });
    this.reason = reason;
    this.remedy = remedy;
  }
}
