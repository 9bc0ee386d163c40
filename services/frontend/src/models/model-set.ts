// The models that can be asked for, by name.
//
//   name (or alias) → worker sets: one per endpoint that serves it
//
// I1  A route is open while a model of its kind is here, routable or not (frontend.md: gating).
// I2  A model is listed only while a worker can take a request for it.
import { AppError } from "@mm-router/protocol";
import { type ModelKind, notReady, type WorkerSet } from "./worker-set.ts";

export interface ModelSummary {
  readonly name: string;
  readonly contextLength: number;
}

export class ModelSet {
  readonly #sets = new Map<string, WorkerSet[]>();
  readonly #turns = new Map<string, number>();
  readonly #kindsSeen = new Set<ModelKind>();

  add(set: WorkerSet): void {
    for (const kind of set.kinds) this.#kindsSeen.add(kind);
    for (const name of namesOf(set)) this.#sets.set(name, [...(this.#sets.get(name) ?? []), set]);
  }

  remove(set: WorkerSet): void {
    for (const name of namesOf(set)) {
      const rest = (this.#sets.get(name) ?? []).filter((each) => each !== set);
      if (rest.length > 0) this.#sets.set(name, rest);
      else this.#sets.delete(name);
    }
  }

  /** Whether the route for this kind is open (I1). */
  has(kind: ModelKind): boolean {
    return [...this.#sets.values()].some((sets) => sets.some((set) => set.kinds.has(kind)));
  }

  /** Whether a model of this kind was here at some time. */
  had(kind: ModelKind): boolean {
    return this.#kindsSeen.has(kind);
  }

  /**
   * Workers for one request; several sets of one model take turns.
   *
   * @throws AppError `model_not_found`, or `no_instances` when nobody of the model is there now
   */
  find(name: string, kind: ModelKind): WorkerSet {
    const sets = (this.#sets.get(name) ?? []).filter((set) => set.kinds.has(kind));
    if (sets.length === 0) throw new AppError("model_not_found", "Model not found");
    const routable = sets.filter((set) => set.available().length > 0);
    if (routable.length === 0) throw notReady(name);
    const free = routable.filter((set) => set.free().length > 0);
    const candidates = free.length > 0 ? free : routable; // when all are too busy, the dispatch says so
    const turn = this.#turns.get(name) ?? 0;
    if (candidates.length > 1) this.#turns.set(name, turn + 1);
    return candidates[turn % candidates.length]!;
  }

  /** Of all models, routable or not. */
  names(): string[] {
    return [...this.#sets.keys()];
  }

  /** All sets of one name, routable or not; empty for an unknown one. */
  named(name: string): readonly WorkerSet[] {
    return this.#sets.get(name) ?? [];
  }

  /** Routable models, by name. */
  list(): ModelSummary[] {
    const routable = [...this.#sets].filter(([, sets]) => sets.some((set) => set.available().length > 0));
    return routable.map(([name, sets]) => ({ name, contextLength: sets[0]!.contextLength })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }
}

function namesOf(set: WorkerSet): ReadonlySet<string> {
  return new Set([set.name, ...(set.card.aliases ?? [])]);
}
