// Looks at the running system while somebody looks at the page, at most once a second however many look.
//
//   overview? ─▶ look younger than `freshMs`? ─ yes ─▶ that one
//                        └ no ─▶ one look for all who wait ─▶ kept beside those of the last `windowMs`, which rates are over
//
// I1  When nobody asks, nothing is asked: no timer runs here.
import { type FleetLook, type Sample, withDeadline } from "@mm-router/runtime";

/** Two looks, and what this frontend itself counted at each. */
export interface Moment {
  readonly fleet: FleetLook;
  readonly own: readonly Sample[];
}

export interface FleetWatchOptions {
  readonly freshMs: number;
  /** Rates are over at most this long. */
  readonly windowMs: number;
  /** A look that takes longer is an error for whoever waits. */
  readonly deadlineMs: number;
}

export const fleetWatchDefaults: FleetWatchOptions = { freshMs: 900, windowMs: 10_000, deadlineMs: 8_000 };

export class FleetWatch {
  readonly #look: () => Promise<Moment>;
  readonly #options: FleetWatchOptions;
  readonly #nowMs: () => number;
  #moments: Moment[] = [];
  #looking: Promise<void> | undefined;

  /** @param nowMs as in `Look.atMs` */
  constructor(look: () => Promise<Moment>, options = fleetWatchDefaults, nowMs: () => number = () => performance.now()) {
    this.#look = look;
    this.#options = options;
    this.#nowMs = nowMs;
  }

  /** The newest look and the oldest one that rates may be over; the same one twice at first. */
  async moments(): Promise<{ readonly before: Moment; readonly now: Moment }> {
    if (!this.#isFresh()) await (this.#looking ??= this.#lookAgain().finally(() => (this.#looking = undefined)));
    return { before: this.#moments[0]!, now: this.#moments.at(-1)! };
  }

  #isFresh(): boolean {
    const newest = this.#moments.at(-1);
    return newest !== undefined && this.#nowMs() - newest.fleet.atMs < this.#options.freshMs;
  }

  async #lookAgain(): Promise<void> {
    const { windowMs, deadlineMs } = this.#options;
    const moment = withoutBuckets(await withDeadline(this.#look(), deadlineMs, "looking at the running system"));
    const since = moment.fleet.atMs - windowMs;
    this.#moments = [...this.#moments.filter(({ fleet }) => fleet.atMs >= since), moment];
  }
}

/** Histograms' buckets are most of the text and nothing here reads them. */
function withoutBuckets({ fleet, own }: Moment): Moment {
  const kept = (samples: readonly Sample[]) => samples.filter(({ name }) => !name.endsWith("_bucket"));
  const lean = (processes: FleetLook["routers"]) => processes.map((each) => ({ ...each, samples: kept(each.samples) }));
  return { fleet: { ...fleet, routers: lean(fleet.routers), indexers: lean(fleet.indexers) }, own: kept(own) };
}
