// A cell of the swap matrix: one Dynamo release, one request plane, one stack that all its suites share.
//
//   real workers (2) + mocker ── ours: indexer, mm-router, frontend ── real frontend
//
// A stack costs 20 to 40 s of start-up, so suites come to it one after the other; a suite that breaks a process comes last.
import {
  type Cluster,
  cluster,
  type DynamoMocker,
  type HttpFrontend,
  type Release,
  type RequestPlane,
  startDynamoMocker,
} from "@mm-router/testkit";
import { describeRelease } from "@mm-router/testkit/requires";
import type { Runtime } from "@mm-router/runtime";
import { afterAll, beforeAll } from "vitest";
import { clientSuite } from "../suites/client.ts";
import { directSuite } from "../suites/direct.ts";
import { eventsSuite } from "../suites/events.ts";
import { faultSuite } from "../suites/faults.ts";
import { routedSuite } from "../suites/routed.ts";
import { routedImagesSuite } from "../suites/routed-images.ts";
import { servedIndexSuite } from "../suites/served-index.ts";
import { connectTo } from "./our-client.ts";

export interface Cell extends Cluster {
  readonly release: Release;
  readonly mocker: DynamoMocker;
  readonly runtime: Runtime;
  readonly ourFrontend: HttpFrontend;
  readonly realFrontend: HttpFrontend;
}

/** For suites: the cell once it stands. */
export type CellOf = () => Cell;

export interface CellOptions {
  /** Faults are met once per release, on one of its planes. */
  readonly withFaults: boolean;
}

/** The file's whole content: await it at the top level. */
export async function swapCell(release: Release, requestPlane: RequestPlane, options: CellOptions): Promise<void> {
  const title = `Dynamo ${release} over ${requestPlane}`;
  await describeRelease(title, release, () => {
    let cell: Cell | undefined;
    const started = new AsyncDisposableStack();
    beforeAll(async () => {
      const startedAt = performance.now();
      cell = await startCell(release, requestPlane, started);
      console.info(`swap: ${title}: stack up after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    });
    afterAll(() => started.disposeAsync());

    const standing: CellOf = () => {
      if (cell === undefined) throw new Error("the cell's stack did not start");
      return cell;
    };
    clientSuite(standing);
    directSuite(standing);
    eventsSuite(standing);
    routedSuite("the real frontend", standing, ({ realFrontend }) => realFrontend);
    routedSuite("our frontend", standing, ({ ourFrontend }) => ourFrontend);
    routedImagesSuite("the real frontend", standing, ({ realFrontend }) => realFrontend);
    routedImagesSuite("our frontend", standing, ({ ourFrontend }) => ourFrontend);
    servedIndexSuite(standing, release);
    if (options.withFaults) faultSuite(standing);
  });
}

async function startCell(release: Release, requestPlane: RequestPlane, started: AsyncDisposableStack): Promise<Cell> {
  const system = started.use(
    await cluster({ requestPlane, workers: { release }, indexer: true, routers: 1, frontends: ["ours", release] }),
  );
  const mocker = started.use(await startDynamoMocker(system.place, { release, model: system.model, component: "mocker" }));
  const runtime = await connectTo(system.place);
  started.defer(() => runtime.close());
  const [ourFrontend, realFrontend] = system.frontends;
  return { ...system, release, mocker, runtime, ourFrontend: ourFrontend!, realFrontend: realFrontend! };
}
