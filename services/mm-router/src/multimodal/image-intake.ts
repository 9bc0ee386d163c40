// Takes in an image's bytes as they arrive and keeps no more of them than the purpose needs.
//
//   "size"     until the header is complete              kept: the bytes so far
//   "content"  all, hashed on the way                    kept: until the header is known
//   "pixels"   all, hashed on the way                    kept: the whole file, within the shared budget
//
// I1  The header is tried again only when the bytes have doubled, so a slow drip costs no more than one read.
// I2  What was taken from the budget is given back by `release()`, in every case.
import { ContentHash, mmHashOf } from "@mm-router/kv";
import { ImageProblem, type MmHash } from "@mm-router/protocol";
import type { ByteBudget } from "./byte-budget.ts";
import type { ByteSink } from "./image-fetch.ts";
import { type ImageHeader, readImageHeader, readWholeImageHeader } from "./image-format.ts";

export type ImageNeed = "size" | "content" | "pixels";

const firstTryBytes = 64;
const initialCapacity = 64 * 1024;

export class ImageIntake implements ByteSink {
  readonly #need: ImageNeed;
  readonly #budget: ByteBudget;
  readonly #hash = new ContentHash();
  #kept: Buffer = Buffer.alloc(0);
  #length = 0;
  /** Taken from the budget. */
  #capacity = 0;
  #nextTry = firstTryBytes;
  #capacityHint = initialCapacity;
  #header: ImageHeader | undefined;

  constructor(need: ImageNeed, budget: ByteBudget) {
    this.#need = need;
    this.#budget = budget;
  }

  /** Known as soon as enough bytes have come. */
  get header(): ImageHeader | undefined {
    return this.#header;
  }

  expect(bytes: number): void {
    if (this.#need === "pixels") this.#capacityHint = Math.max(initialCapacity, bytes);
  }

  /** @throws ImageProblem for what is no image, and `busy` when the budget is exhausted */
  take(bytes: Buffer): boolean {
    this.#hash.update(bytes);
    if (this.#header === undefined || this.#need === "pixels") this.#keep(bytes);
    if (this.#header === undefined && this.#length >= this.#nextTry) this.#readHeader();
    return this.#need !== "size" || this.#header === undefined;
  }

  /** The file is complete. @returns its content hash; @throws ImageProblem when there is no header in it */
  finish(): { readonly header: ImageHeader; readonly content: MmHash; readonly bytes: Buffer } {
    if (this.#header === undefined) {
      const reading = readWholeImageHeader(this.#bytes());
      if (reading.kind === "refused") throw new ImageProblem(reading.reason, "the file is not an image that workers take");
      this.#header = reading.header;
    }
    return { header: this.#header, content: mmHashOf(this.#hash.digest()), bytes: this.#bytes() };
  }

  /** The bytes may meanwhile belong to another thread. Calling it twice does nothing more. */
  release(): void {
    this.#budget.give(this.#capacity);
    this.#capacity = 0;
    this.#kept = Buffer.alloc(0);
    this.#length = 0;
  }

  #bytes(): Buffer {
    return this.#kept.subarray(0, this.#length);
  }

  #keep(bytes: Buffer): void {
    const length = this.#length + bytes.length;
    if (length > this.#capacity) this.#grow(Math.max(length, 2 * this.#capacity, this.#capacityHint));
    bytes.copy(this.#kept, this.#length);
    this.#length = length;
  }

  #grow(capacity: number): void {
    if (!this.#budget.tryTake(capacity - this.#capacity)) throw new ImageProblem("busy", "too many bytes of images in flight");
    // Its own memory, not a slice of a pool: the whole of it is handed to the decoding thread.
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.#bytes().copy(larger);
    this.#kept = larger;
    this.#capacity = capacity;
  }

  #readHeader(): void {
    const reading = readImageHeader(this.#bytes());
    if (reading.kind === "refused") throw new ImageProblem(reading.reason, "the file is not an image that workers take");
    if (reading.kind === "header") this.#header = reading.header;
    this.#nextTry = 2 * this.#length;
  }
}
