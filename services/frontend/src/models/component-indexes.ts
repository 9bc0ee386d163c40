// Whom the KV mode asks: one index for each component of workers, shared by the models that are served there.
//
//   first model of a component ─▶ opened (packages/kv-indexer): until then, and where that fails, the load decides
//   last one gone              ─▶ closed
import { type AskedIndex, type OpenIndexDeps, type OpenIndexOptions, openIndex } from "@mm-router/kv-indexer";
import { type EndpointAddress, indexLookupEndpoint, indexQueryEndpoint } from "@mm-router/protocol";
import { createMetrics, type IndexAnswer } from "@mm-router/runtime";

type ComponentIndexesDeps = Omit<OpenIndexDeps, "endpoints" | "metrics">;

const notYet: IndexAnswer = { scores: [], degraded: "index-missing" };

interface Shared {
  readonly opened: AsyncDisposableStack;
  readonly opening: Promise<void>;
  index: AskedIndex | undefined;
  users: number;
}

export interface HeldIndex extends AskedIndex {
  release(): void;
}

export class ComponentIndexes {
  readonly #options: Omit<OpenIndexOptions, "where">;
  readonly #deps: ComponentIndexesDeps;
  readonly #components = new Map<string, Shared>();

  constructor(options: Omit<OpenIndexOptions, "where">, deps: ComponentIndexesDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** The index of the workers at this endpoint; let go of it when the model is gone. */
  of({ namespace, component }: EndpointAddress): HeldIndex {
    const name = `${namespace}/${component}`;
    const shared = this.#components.get(name) ?? this.#open(name, { namespace, component });
    shared.users++;
    return {
      query: async (...question) => (shared.index === undefined ? notYet : await shared.index.query(...question)),
      release: () => {
        if (--shared.users > 0) return;
        this.#components.delete(name);
        void shared.opening.then(() => shared.opened.disposeAsync());
      },
    };
  }

  #open(name: string, where: OpenIndexOptions["where"]): Shared {
    const opened = new AsyncDisposableStack();
    const opening = this.#opened(where, opened).then(
      (index) => void (shared.index = index),
      (error: unknown) => this.#deps.log.warn("no index of these workers: their requests are routed by load", { ...where, error }),
    );
    const shared: Shared = { opened, opening, index: undefined, users: 0 };
    this.#components.set(name, shared);
    return shared;
  }

  async #opened(where: OpenIndexOptions["where"], opened: AsyncDisposableStack): Promise<AskedIndex> {
    const clientOf = (endpoint: string) =>
      opened.adopt(this.#deps.runtime.endpoint({ ...where, endpoint }).client(), (client) => client.close());
    const endpoints = { query: clientOf(indexQueryEndpoint), lookup: clientOf(indexLookupEndpoint) };
    await Promise.all([endpoints.query.ready(), endpoints.lookup.ready()]);
    const metrics = createMetrics({ processMetrics: false }); // told nowhere: /metrics has the real frontend's names
    return await openIndex({ ...this.#options, where }, { ...this.#deps, metrics, endpoints }, opened);
  }
}
