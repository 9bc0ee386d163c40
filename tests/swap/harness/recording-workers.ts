// Workers of Dynamo's own library that tell what they were asked (python/recording_worker.py).
import { join } from "node:path";
import { type Place, type Release, startPython, waitFor } from "@mm-router/testkit";

const script = join(import.meta.dirname, "..", "python", "recording_worker.py");
const mark = "@@ ";

/** A request as it came to a worker. */
export interface Recorded {
  /** Index of the worker. */
  readonly worker: number;
  readonly request: Readonly<Record<string, unknown>>;
}

export interface ServedModel {
  /** Model folder. */
  readonly folder: string;
  readonly name: string;
  /** LoRA adapters that are served beside it. */
  readonly adapters: readonly string[];
}

export class RecordingWorkers implements AsyncDisposable {
  readonly recorded: Recorded[] = [];
  readonly instanceIds: string[] = [];
  readonly #processes = new AsyncDisposableStack();

  /** Starts so many; resolves when all of them serve. */
  static async start(place: Place, release: Release, count: number, model: ServedModel): Promise<RecordingWorkers> {
    const workers = new RecordingWorkers();
    await Promise.all(Array.from({ length: count }, (_, worker) => workers.#start(place, release, worker, model)));
    return workers;
  }

  /** What was asked since there were `before` records, once there are so many more. */
  async since(before: number, count: number): Promise<readonly Recorded[]> {
    const all = async () => (this.recorded.length >= before + count ? this.recorded.slice(before) : undefined);
    return waitFor({ what: `${count} requests at the workers` }, all);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes.disposeAsync();
  }

  async #start(place: Place, release: Release, worker: number, { folder, name, adapters }: ServedModel): Promise<void> {
    const args = [script, place.namespace, "backend", folder, name, ...adapters];
    const onLine = (line: string) => this.#told(worker, line);
    const { child } = this.#processes.use(await startPython(place, { name: `recording worker ${worker}`, release, args, onLine }));
    await waitFor({ what: `recording worker ${worker} to serve`, child }, async () => this.instanceIds[worker]);
  }

  #told(worker: number, line: string): void {
    if (!line.startsWith(mark)) return;
    const { instance, request } = JSON.parse(line.slice(mark.length)) as { instance?: string; request?: Recorded["request"] };
    if (instance !== undefined) this.instanceIds[worker] = instance;
    if (request !== undefined) this.recorded.push({ worker, request });
  }
}
