// A simulated engine: no model, but the times, the batches and the KV cache of one. Pure: time is an argument.
//
//   submit ─► queue ─ room in batch and cache ─► prefill ─ uncached tokens × prefillUs ─► a token each tokenMs ─► end
//                                                  └ stores the prompt's blocks              stores the rest ┘
//
// I1  `step(now)` says everything that is due by `now`, however long ago. A request starts in a step, never between two.
// I2  Each request ends once: with its answer's end, `length`, or `cancelled`.
import { BlockPool, type Lease, type PlacedImage, type PoolEvent } from "./block-pool.ts";

export interface EngineConfig {
  /** Tokens per KV block. */
  readonly blockSize: number;
  /** KV cache, in blocks. */
  readonly blocks: number;
  /** Requests that run at once; the others wait. */
  readonly batchMax: number;
  /** Time per prompt token that is not in the cache, microseconds. */
  readonly prefillUs: number;
  /** Time per answer token, milliseconds. */
  readonly tokenMs: number;
}

export interface EngineRequest {
  readonly id: string;
  /** With images expanded; what the cache compares. */
  readonly prompt: Uint32Array;
  readonly images: readonly PlacedImage[];
  readonly tokensMax: number;
  /** Token i of the answer; undefined ends it with `stop`. */
  readonly answer: (index: number) => number | undefined;
}

export interface EngineStep {
  readonly id: string;
  readonly tokens: readonly number[];
  readonly end?: "stop" | "length" | "cancelled";
  /** Prompt tokens that were in the cache. */
  readonly cachedTokens: number;
}

interface Running {
  readonly request: EngineRequest;
  readonly lease: Lease;
  readonly prefillEndsAt: number;
  readonly tokens: number[];
  isPrefilled: boolean;
}

export class SimulatedEngine {
  readonly #config: EngineConfig;
  readonly #pool: BlockPool;
  readonly #queue: EngineRequest[] = [];
  readonly #running = new Map<string, Running>();

  constructor(config: EngineConfig) {
    this.#config = config;
    this.#pool = new BlockPool(config.blocks, config.blockSize);
  }

  get usedBlocks(): number {
    return this.#pool.used;
  }

  /** @throws RangeError when the cache could never hold it */
  submit(request: EngineRequest): void {
    const tokens = request.prompt.length + request.tokensMax;
    if (!this.#pool.canHold(tokens)) throw new RangeError(`${tokens} tokens do not fit into ${this.#config.blocks} blocks`);
    this.#queue.push(request);
  }

  /** Forgets a request at once; nothing more is said about it. */
  abort(id: string): void {
    const waiting = this.#queue.findIndex((request) => request.id === id);
    if (waiting >= 0) this.#queue.splice(waiting, 1);
    const running = this.#running.get(id);
    if (running !== undefined) this.#end(running);
  }

  /** All that is due by `now` (milliseconds of any clock that does not go back). */
  step(now: number): readonly EngineStep[] {
    this.#admit(now);
    const steps = [...this.#running.values()].flatMap((running) => this.#advance(running, now) ?? []);
    this.#admit(now); // what ended made room
    return steps;
  }

  /** When the next step has something to say; undefined while nothing runs. */
  nextDueAt(): number | undefined {
    const due = Array.from(this.#running.values(), (running) => this.#tokenDueAt(running));
    return due.length === 0 ? undefined : Math.min(...due);
  }

  takeEvents(): readonly PoolEvent[] {
    return this.#pool.takeEvents();
  }

  #admit(now: number): void {
    while (this.#queue.length > 0 && this.#running.size < this.#config.batchMax) {
      const request = this.#queue[0]!;
      const lease = this.#pool.begin(request.prompt, request.images, request.tokensMax);
      if (lease === undefined) return; // first come, first served: nobody overtakes
      this.#queue.shift();
      const uncached = request.prompt.length - lease.reused * this.#config.blockSize;
      const prefillEndsAt = now + (uncached * this.#config.prefillUs) / 1000;
      this.#running.set(request.id, { request, lease, prefillEndsAt, tokens: [], isPrefilled: false });
    }
  }

  #tokenDueAt({ prefillEndsAt, tokens }: Running): number {
    return prefillEndsAt + (tokens.length + 1) * this.#config.tokenMs;
  }

  #advance(running: Running, now: number): EngineStep | undefined {
    const { request, lease, tokens } = running;
    if (now < running.prefillEndsAt) return undefined;
    if (!running.isPrefilled) {
      running.isPrefilled = true;
      this.#pool.store(lease, request.prompt.subarray(0, -1), request.images, false);
    }
    const said = tokens.length;
    let end: EngineStep["end"];
    while (end === undefined && this.#tokenDueAt(running) <= now) {
      const token = request.answer(tokens.length);
      if (token !== undefined) tokens.push(token);
      end = token === undefined ? "stop" : tokens.length >= request.tokensMax ? "length" : undefined;
    }
    if (end !== undefined) this.#end(running);
    else if (tokens.length === said) return undefined;
    const step = { id: request.id, tokens: tokens.slice(said), cachedTokens: lease.reused * this.#config.blockSize };
    return end === undefined ? step : { ...step, end };
  }

  /** Stores what was computed (the last token has no KV entry yet) and gives the blocks back. */
  #end({ request, lease, tokens, isPrefilled }: Running): void {
    if (isPrefilled) this.#pool.store(lease, Uint32Array.from([...request.prompt, ...tokens]).subarray(0, -1), request.images, true);
    this.#pool.end(lease);
    this.#running.delete(request.id);
  }
}
