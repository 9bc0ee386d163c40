// Sessions that stay at one worker (`x-dynamo-session-id` with --router-session-affinity-ttl-secs).
//
//   first request    bound to whoever was chosen
//   later ones       hard: that worker, as long as it is there · soft: that worker, unless it is too busy
//   idle for the TTL, or its last request (`x-dynamo-session-final`)    forgotten
//
// Source: Dynamo 1.6.1, its help; bindings are this frontend's own.
import type { InstanceId } from "@mm-router/protocol";
import { type Clock, Lru } from "@mm-router/runtime";

export interface AffinityOptions {
  /** Idle time after which a session is forgotten; undefined: no session is kept. */
  readonly ttlMs: number | undefined;
  readonly mode: "hard" | "soft";
}

export interface Session {
  readonly id: string;
  /** This is its last request. */
  readonly final: boolean;
}

interface Binding {
  readonly instanceId: InstanceId;
  readonly usedAt: number;
}

/** Of one model; what was not used for longest goes first. */
const sessionsMax = 100_000;

export class SessionBindings {
  readonly #options: AffinityOptions;
  readonly #clock: Clock;
  readonly #bindings = new Lru<string, Binding>({ weightMax: sessionsMax });

  constructor(options: AffinityOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get isHard(): boolean {
    return this.#options.mode === "hard";
  }

  of(session: Session | undefined): InstanceId | undefined {
    const { ttlMs } = this.#options;
    const binding = session && this.#bindings.get(session.id);
    return binding && ttlMs !== undefined && this.#clock.now() - binding.usedAt < ttlMs ? binding.instanceId : undefined;
  }

  note(session: Session | undefined, instanceId: InstanceId): void {
    if (session === undefined || this.#options.ttlMs === undefined) return;
    if (session.final) this.#bindings.delete(session.id);
    else this.#bindings.set(session.id, { instanceId, usedAt: this.#clock.now() });
  }
}
