// One request's place in the router's books, from its choice to the moment the worker has really done with it.
//
//   booked ── first tokens ──▶ prefill done ── end of the stream ──▶ freed
//                    └── the client leaves ──▶ abort: freed at once · a worker that computes on: freed when it would be done
//
// Workers ≤ 1.0 do not stop the engine when the caller leaves (dialect.abortsOnCancel): their blocks and their place in the
// batch stay taken for as long as the rest of the tokens would have needed. Nobody tells when, so it is estimated from the pace so far.
// I1  Freed exactly once, whatever comes twice.
import type { Booking } from "@mm-router/kv";
import type { Clock } from "@mm-router/runtime";

export interface ActiveLoadOptions {
  readonly booking: Pick<Booking, "prefillDone" | "generated" | "free">;
  /** The engine stops when the caller leaves. */
  readonly abortsOnCancel: boolean;
  /** Tokens that the request may generate; asked only when a client leaves such a worker. */
  readonly tokensMax: () => number | undefined;
  readonly clock: Clock;
}

/** ms per token where a stream showed no pace of its own: a slow one rather than a fast one. */
const paceMsDefault = 20;
/** Tokens of a request without limit: TRT-LLM's own default. */
const tokensMaxDefault = 32;
/** An estimate is not trusted beyond this; the books expire after 300 s anyhow. */
const lingerMsMax = 120_000;

export class ActiveLoad {
  private readonly options: ActiveLoadOptions;
  private phase: "waiting" | "generating" | "over" = "waiting";
  private items = 0;
  private firstAt = 0;

  constructor(options: ActiveLoadOptions) {
    this.options = options;
  }

  /** Items came; the first ones end the prefill. One item is about one token of one choice. */
  received(items: number): "first" | "more" {
    this.items += items;
    this.options.booking.generated?.(items);
    if (this.phase !== "waiting") return "more";
    this.phase = "generating";
    this.firstAt = this.options.clock.now();
    this.options.booking.prefillDone();
    return "first";
  }

  /** The stream ended, or was never begun. */
  ended(): void {
    if (this.phase === "over") return;
    this.phase = "over";
    this.options.booking.free();
  }

  /** The client left and the worker was told. */
  abandoned(): void {
    if (this.phase === "over") return;
    if (this.options.abortsOnCancel) return this.ended();
    const lingerMs = this.remainingMs();
    this.phase = "over";
    setTimeout(this.options.booking.free, lingerMs).unref();
  }

  private remainingMs(): number {
    const sinceFirst = this.options.clock.now() - this.firstAt;
    const paceMs = this.items > 1 ? sinceFirst / this.items : paceMsDefault;
    const tokensLeft = Math.max(0, (this.options.tokensMax() ?? tokensMaxDefault) - this.items);
    return Math.min(lingerMsMax, tokensLeft * paceMs);
  }
}
