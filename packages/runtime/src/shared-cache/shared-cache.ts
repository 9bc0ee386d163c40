// What replicas of a service tell each other: small values that can be made again, under keys that all of them compute alike.
//
// I1  Never fails and never holds anybody up: what is slow or away is as good as empty.

export interface SharedCache {
  /** Undefined: nobody put it, it expired, or nobody answered in time. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** In the background. Lost where it cannot be kept; the last one wins. */
  put(key: string, value: Uint8Array): void;
}
