// The other leg: who the workers are, how they are called, and who indexes them.
import {
  type CardEntry,
  cardPrefix,
  type EndpointAddress,
  indexLookupEndpoint,
  indexQueryEndpoint,
  sameAddress,
} from "@mm-router/protocol";
import type { EndpointClient, Logger, Runtime, IndexEndpoints } from "@mm-router/runtime";
import { BlockSizes } from "./block-sizes.ts";
import { CardBook } from "./card-book.ts";
import type { DownstreamQuestion } from "./downstream-address.ts";
import { findWorkers } from "./find-workers.ts";
import type { WorkerOptions } from "./worker.ts";
import { WorkerDirectory } from "./worker-directory.ts";

export interface DownstreamOptions extends Omit<DownstreamQuestion, "cards">, WorkerOptions {
  readonly blockSize: number;
  /** Told the number of workers when it changes. */
  readonly onWorkers: (count: number) => void;
}

export interface Downstream {
  readonly address: EndpointAddress;
  readonly client: EndpointClient;
  readonly directory: WorkerDirectory;
  /** The served indexes beside the workers' endpoint: upstream's form, and ours. */
  readonly index: IndexEndpoints;
  /** Cards of the workers' endpoint. */
  cards(): CardEntry[];
}

/**
 * Follows the workers; resolves when there is one.
 *
 * @param opened what must be closed later is put here
 * @throws AppError `configuration` when all workers have another block size; the signal's reason when told to stop
 */
export async function joinDownstream(
  runtime: Runtime,
  options: DownstreamOptions,
  opened: AsyncDisposableStack,
  { log, signal }: { log: Logger; signal: AbortSignal },
): Promise<Downstream> {
  const cards = new CardBook(log);
  const watch = opened.adopt(runtime.discovery.watch(cardPrefix({ namespace: options.wanted.namespace }), cards), (opening) =>
    opening.close(),
  );
  await watch.ready;
  const address = await findWorkers(cards, options, log, signal);
  const client = opened.adopt(runtime.endpoint(address).client(), (endpoint) => endpoint.close());
  const query = opened.adopt(runtime.endpoint({ ...address, endpoint: indexQueryEndpoint }).client(), (endpoint) => endpoint.close());
  const lookup = opened.adopt(runtime.endpoint({ ...address, endpoint: indexLookupEndpoint }).client(), (endpoint) => endpoint.close());
  await Promise.all([client.ready(), query.ready(), lookup.ready()]);
  const blockSizes = new BlockSizes(options.blockSize, log);
  const directory = new WorkerDirectory({
    ...options,
    address,
    instances: client.instances,
    cards,
    onWorker: blockSizes.look,
    onChange: options.onWorkers,
  });
  opened.defer(() => directory.close());
  await directory.first(signal);
  blockSizes.requireOne(directory.list());
  return {
    address,
    client,
    directory,
    index: { query, lookup },
    cards: () => cards.list().filter((entry) => sameAddress(entry.address, address)),
  };
}
