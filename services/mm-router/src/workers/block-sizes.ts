// Workers must cut prompts into blocks of our size, or no hash ever matches theirs. Upstream's router does not look.
import { AppError } from "@mm-router/protocol";
import type { Logger } from "@mm-router/runtime";
import type { Worker } from "./worker.ts";

export class BlockSizes {
  private readonly blockSize: number;
  private readonly log: Logger;
  private readonly warned = new Set<number>();

  constructor(blockSize: number, log: Logger) {
    this.blockSize = blockSize;
    this.log = log;
  }

  /** Warns once per wrong size: such workers get requests by load alone. */
  readonly look = ({ blockSize }: Pick<Worker, "blockSize">): void => {
    if (blockSize === this.blockSize || this.warned.has(blockSize)) return;
    this.warned.add(blockSize);
    this.log.warn("workers have another block size: their requests are balanced by load alone", {
      ours: this.blockSize,
      theirs: blockSize,
    });
  };

  /** @throws AppError `configuration` when not one worker has our size */
  requireOne(workers: readonly Pick<Worker, "blockSize">[]): void {
    if (workers.some(({ blockSize }) => blockSize === this.blockSize)) return;
    const sizes = [...new Set(workers.map(({ blockSize }) => blockSize))].join(", ");
    throw new AppError(
      "configuration",
      `the workers' block size is ${sizes}, ours ${this.blockSize}: start mm-router with --block-size ${sizes}`,
    );
  }
}
