// What a test suite needs of the real world: met, or a skip that says why, or (under CI=true) a failure.
//
//   await describeReal("worker of 1.6.1", real.release("1.6.1"), () => { it(…) … });
//
//   need met ─► describe(title, body)
//   Missing  ─► one skipped test whose note is "reason; remedy: …"; scripts/count-reporter.ts lists the notes at the end.
//               CI=true: that test fails, because a skip would hide that the real thing was not met.
//
// Needs are met while the file is collected, before any time limit of a test or hook runs.
import { describe, it } from "vitest";
import { ensureChromium } from "./chromium.ts";
import { ensureClients } from "./client-venv.ts";
import { newestRelease, type Release, releasesUnderTest } from "./dynamo-release.ts";
import { ensureRelease } from "./dynamo-venv.ts";
import { ensureEngine } from "./engine-venv.ts";
import { binaries } from "./infra.ts";
import { Missing } from "./missing.ts";

/** Resolves when the need is met, rejects with `Missing` when it cannot be. */
export type Need = () => Promise<unknown>;

export const real = {
  /** nats-server and etcd. */
  infra: (): Promise<unknown> =>
    binaries().catch((error: unknown) => {
      throw new Missing("nats-server and etcd are not here", error instanceof Error ? error.message : String(error), error);
    }),
  /** NATS, etcd and the official Python clients. */
  clients: async (): Promise<unknown> => {
    await real.infra();
    return ensureClients((line) => console.info(`testkit: ${line}`));
  },
  /** NATS, etcd, the wheels of the newest release and a real engine. */
  engine: async (): Promise<unknown> => {
    const engine = ensureEngine((line) => console.info(`testkit: ${line}`));
    return Promise.all([engine, real.release(newestRelease)()]);
  },
  /** NATS, etcd and a browser. */
  chromium: async (): Promise<unknown> => {
    await real.infra();
    return ensureChromium((line) => console.info(`testkit: ${line}`));
  },
  /** NATS, etcd and the wheels of a release. */
  release:
    (release: Release): Need =>
    async () => {
      await real.infra();
      await ensureRelease(release, (line) => console.info(`testkit: ${line}`));
    },
};

/** `describe` for suites that need something real. Await it at the top level of the test file. */
export async function describeReal(title: string, need: Need, body: () => void): Promise<void> {
  const missing = await need().then(() => undefined, missingOrThrow);
  if (missing === undefined) {
    describe(title, body);
    return;
  }
  describe(title, () => {
    it("meets the real thing", (context) => {
      if (process.env.CI === "true") throw missing;
      context.skip(missing.message);
    });
  });
}

/** As `describeReal`, for suites of one or two releases; one that this run does not meet is skipped and says so. */
export async function describeReleases(title: string, releases: readonly Release[], body: () => void): Promise<void> {
  const release = releases.find((needed) => !releasesUnderTest(process.env).includes(needed));
  if (release === undefined) return describeReal(title, () => Promise.all(releases.map((needed) => real.release(needed)())), body);
  describe(title, () => {
    it("meets the real thing", (context) => {
      context.skip(`Dynamo ${release} was not asked for; remedy: CI=true for four releases, MMR_TEST_RELEASES=all for six`);
    });
  });
}

export function describeRelease(title: string, release: Release, body: () => void): Promise<void> {
  return describeReleases(title, [release], body);
}

/** As `describeRelease`, for proofs that take most of a minute each: a run that names no releases leaves them out, so that it stays short. */
export function describeProof(title: string, release: Release, body: () => void): Promise<void> {
  const { CI, MMR_TEST_RELEASES: asked } = process.env;
  if (CI === "true" || asked !== undefined) return describeRelease(title, release, body);
  describe(title, () => {
    it("meets the real thing", (context) => {
      context.skip(`a proof of a minute, not in the short run; remedy: CI=true, or MMR_TEST_RELEASES=${release}`);
    });
  });
  return Promise.resolve();
}

function missingOrThrow(error: unknown): Missing {
  if (error instanceof Missing) return error;
  throw error;
}
