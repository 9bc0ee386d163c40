// Sessions that stay at one worker (--router-session-affinity-ttl-secs): of all models that are served at one endpoint.
//
//   first request    bound to whoever was chosen, or to whom it names, before it is sent: those that come meanwhile follow
//   later ones       hard: that worker, as long as it is there · soft: that worker, unless it is too busy
//   idle for the TTL since its last request ended    forgotten
//
// Sessions below one parent (an agent's helpers) stay together, not with the parent: they begin with the same prompt.
// A binding may hold a data-parallel rank as well. Its last request (`x-dynamo-session-final`) is the worker's affair alone.
// Source: Dynamo 1.6.1, seen in its frontend (tests/swap/frontend-routing.test.ts); bindings are this frontend's own.
import { hash } from "node:crypto";
import { AppError, type InstanceId } from "@mm-router/protocol";
import { type Clock, Lru, type ResponseStream } from "@mm-router/runtime";
import { countedStream } from "./counted-stream.ts";

export interface AffinityOptions {
  /** Idle time after which a session is forgotten; undefined: no session is kept. */
  readonly ttlMs: number | undefined;
  readonly mode: "hard" | "soft";
}

export interface Session {
  readonly id: string;
  readonly parent?: string | undefined;
}

/** Who serves a session. */
export interface BoundTo {
  readonly instanceId: InstanceId;
  /** undefined: any. */
  readonly dpRank: number | undefined;
}

interface Binding extends BoundTo {
  usedAt: number;
  /** Requests that are not over. */
  running: number;
}

/** What was not used for longest goes first. */
const sessionsMax = 100_000;
/** Upstream's. */
const idLengthMax = 256;

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

  /** Under which name a session is to be kept; undefined: not at all. @throws AppError `invalid_request` for an id that is too long */
  nameOf(session: Session | undefined): string | undefined {
    if (session === undefined || this.#options.ttlMs === undefined) return undefined;
    const { parent } = session;
    if (parent !== undefined) return `below ${parent.length <= idLengthMax ? parent : hash("sha256", parent)}`;
    if (session.id.length <= idLengthMax) return `is ${session.id}`;
    throw new AppError("invalid_request", `the session id has ${session.id.length} characters; ${idLengthMax} are the most`);
  }

  of(session: string): BoundTo | undefined {
    const binding = this.#bindings.get(session);
    return binding && (binding.running > 0 || this.#clock.now() - binding.usedAt < this.#options.ttlMs!) ? binding : undefined;
  }

  /** Binds the session, or says that it was used again. */
  bind(session: string, { instanceId, dpRank }: BoundTo): void {
    const known = this.#bindings.get(session);
    const isSame = known?.instanceId === instanceId && known.dpRank === dpRank;
    if (isSame) known.usedAt = this.#clock.now();
    else this.#bindings.set(session, { instanceId, dpRank, usedAt: this.#clock.now(), running: 0 });
  }

  /** The stream of a session's request: the session is not idle until it is over. @param signal of the request */
  held(session: string, stream: ResponseStream, signal: AbortSignal): ResponseStream {
    const binding = this.#bindings.get(session);
    if (binding === undefined) return stream;
    binding.running++;
    return countedStream(stream, signal, () => {
      binding.running--;
      binding.usedAt = this.#clock.now();
    });
  }
}
