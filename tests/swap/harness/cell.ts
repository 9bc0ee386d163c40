// A cell of the swap matrix: one Dynamo release, one request plane, one stack that all its suites share.
//
//   real workers (2) + mocker ── ours: indexer, mm-router, frontend ── real frontend
//
// A stack costs 20 to 40 s of start-up, so suites come to it one after the other; a suite that breaks a process comes last.
import { type Cluster, cluster, type DynamoMocker, type HttpFrontend, type Release, type RequestPlane } from "@mm-router/testkit";
import { describeReleases } from "@mm-router/testkit/requires";
import type { Runtime } from "@mm-router/runtime";
import { afterAll, beforeAll } from "vitest";
import { clientSuite } from "../suites/client.ts";
import { directSuite } from "../suites/direct.ts";
import { eventsSuite } from "../suites/events.ts";
import { faultSuite } from "../suites/faults.ts";
import { imageEventsSuite } from "../suites/image-events.ts";
import { leavingSuite } from "../suites/leaving.ts";
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

/** A cell of one release: all suites. The file's whole content: await it at the top level. */
export async function swapCell(release: Release, requestPlane: RequestPlane, { withFaults }: CellOptions): Promise<void> {
  await describeCell(`Dynamo ${release} over ${requestPlane}`, { release, frontendRelease: release, requestPlane }, (cell) => {
    clientSuite(cell);
    directSuite(cell);
    eventsSuite(cell);
    imageEventsSuite(cell, release);
    routedSuites(cell);
    servedIndexSuite(cell, release);
    if (withFaults) faultSuite(cell);
  });
}

/** A cell of two releases: the real frontend is of another than the workers. */
export async function mixedCell(frontendRelease: Release, release: Release, requestPlane: RequestPlane): Promise<void> {
  const title = `Dynamo ${frontendRelease} before workers of ${release} over ${requestPlane}`;
  await describeCell(title, { release, frontendRelease, requestPlane }, routedSuites);
}

function routedSuites(cell: CellOf): void {
  routedSuite("the real frontend", cell, ({ realFrontend }) => realFrontend);
  routedSuite("our frontend", cell, ({ ourFrontend }) => ourFrontend);
  routedImagesSuite("the real frontend", cell, ({ realFrontend }) => realFrontend);
  routedImagesSuite("our frontend", cell, ({ ourFrontend }) => ourFrontend);
  leavingSuite("the real frontend", cell, ({ realFrontend }) => realFrontend);
  leavingSuite("our frontend", cell, ({ ourFrontend }) => ourFrontend);
}

interface CellPlan {
  readonly release: Release;
  readonly frontendRelease: Release;
  readonly requestPlane: RequestPlane;
}

async function describeCell(title: string, plan: CellPlan, suites: (cell: CellOf) => void): Promise<void> {
  await describeReleases(title, [...new Set([plan.release, plan.frontendRelease])], () => {
    let cell: Cell | undefined;
    const started = new AsyncDisposableStack();
    beforeAll(async () => {
      const startedAt = performance.now();
      cell = await startCell(plan, started);
      console.info(`swap: ${title}: stack up after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    });
    afterAll(() => started.disposeAsync());
    suites(() => {
      if (cell === undefined) throw new Error("the cell's stack did not start");
      return cell;
    });
  });
}

async function startCell({ release, frontendRelease, requestPlane }: CellPlan, started: AsyncDisposableStack): Promise<Cell> {
  const frontends = ["ours", frontendRelease] as const;
  const system = started.use(await cluster({ requestPlane, workers: { release }, mocker: release, indexer: true, routers: 1, frontends }));
  const runtime = await connectTo(system.place);
  started.defer(() => runtime.close());
  const [ourFrontend, realFrontend] = system.frontends;
  return { ...system, release, mocker: system.mocker!, runtime, ourFrontend: ourFrontend!, realFrontend: realFrontend! };
}
