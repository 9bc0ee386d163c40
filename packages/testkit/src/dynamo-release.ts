// What the tests must know about a Dynamo release to start its processes, and which releases a run meets.
//
// A table of its own on purpose: the product's table of facts (packages/protocol) is what these tests judge.
// Source: `--help` and runs of `dynamo.trtllm`, `dynamo.frontend` of each release; the stand-in's README.
export const releases = ["0.9.1", "1.0.2", "1.2.1", "1.4.2", "1.5.1", "1.6.1"] as const;
export type Release = (typeof releases)[number];

export const newestRelease: Release = "1.6.1";
/** One per form of the wire that matters most; what a run in CI meets. */
const releasesOfCi: readonly Release[] = ["0.9.1", "1.0.2", "1.4.2", "1.6.1"];

export interface ReleaseFacts {
  /** Component of `dynamo.trtllm` when `--endpoint` is not given. */
  readonly defaultComponent: string;
  /** Switches that make the stand-in engine behave as the engine this release pins. */
  readonly standIn: Readonly<Record<string, string>>;
  /** Worker flags per way of publishing KV events; a way that is missing does not exist in this release. */
  readonly eventArgs: Readonly<Partial<Record<KvEventPath, readonly string[]>>>;
  /** `--serve-indexer` of the frontend. */
  readonly servesIndexer: boolean;
  /** Lease of a worker, seconds: how long a killed one stays listed. */
  readonly leaseTtl: number;
}

/** NATS core subjects, or a JetStream stream of the namespace's component. */
export type KvEventPath = "core" | "jetstream";

const beforeUuids = { SIM_DIALECT: "s1" };
const withUuids = { SIM_DIALECT: "s3", SIM_EVENT_SALT: "1" };
const coreByDefault = { core: [], jetstream: ["--durable-kv-events"] };

const facts: Readonly<Record<Release, ReleaseFacts>> = {
  "0.9.1": {
    defaultComponent: "tensorrt_llm",
    standIn: beforeUuids,
    eventArgs: { jetstream: [], core: ["--enable-local-indexer", "true"] },
    servesIndexer: false,
    leaseTtl: 10,
  },
  "1.0.2": { defaultComponent: "tensorrt_llm", standIn: beforeUuids, eventArgs: coreByDefault, servesIndexer: false, leaseTtl: 10 },
  "1.2.1": {
    defaultComponent: "tensorrt_llm",
    standIn: { SIM_DIALECT: "s2" },
    eventArgs: coreByDefault,
    servesIndexer: true,
    leaseTtl: 10,
  },
  "1.4.2": { defaultComponent: "backend", standIn: withUuids, eventArgs: { core: [] }, servesIndexer: true, leaseTtl: 10 },
  "1.5.1": {
    defaultComponent: "backend",
    standIn: { ...withUuids, SIM_DISAGG_ID: "two" },
    eventArgs: { core: [] },
    servesIndexer: true,
    leaseTtl: 10,
  },
  "1.6.1": {
    defaultComponent: "backend",
    standIn: { ...withUuids, SIM_DISAGG_ID: "two" },
    eventArgs: { core: [] },
    servesIndexer: true,
    leaseTtl: 30,
  },
};

export function factsOf(release: Release): ReleaseFacts {
  return facts[release];
}

/** The way in which this release publishes KV events when nobody chooses. */
export function defaultEventPath(release: Release): KvEventPath {
  return Object.keys(facts[release].eventArgs)[0] as KvEventPath;
}

/**
 * Releases that this run meets: `MMR_TEST_RELEASES` (a comma list, or `all`), else four with `CI=true`, else the newest.
 *
 * @throws RangeError for a release that nobody knows
 */
export function releasesUnderTest(environment: Readonly<Record<string, string | undefined>>): readonly Release[] {
  const asked = environment.MMR_TEST_RELEASES;
  if (asked === "all") return releases;
  if (!asked) return environment.CI === "true" ? releasesOfCi : [newestRelease];
  return asked.split(",").map((name) => {
    const known = releases.find((release) => release === name.trim());
    if (known === undefined) throw new RangeError(`MMR_TEST_RELEASES: '${name}' is none of ${releases.join(", ")}`);
    return known;
  });
}
