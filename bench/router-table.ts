// mm-router in the place of upstream's image router: same load, same chain, upstream's measured figures beside ours.
//
//   this process ──▶ router ──▶ dynamo.trtllm (stand-in engine, no engine time)      in turns with      this process ──▶ worker
//
//   npm run bench -- router-table [1.0.2 | 1.4.2]           workers of both, or of one
//   npm run bench -- router-table --other 'exec COMMAND'    a second router, in the same rounds, from its own process; a shell runs the
//                                                           command with upstream's flags behind it: --model --namespace --component
//                                                           --downstream-component --block-size; addresses as Dynamo's variables.
//                                                           Ours is then compared with its figures of the same run
//
// CPU is the router process's own (/proc); both keep their index themselves. Pictures are JPEG,
// quality 85, by HTTP from this process; cold: a URL and a file that nobody has seen; warm: one URL. Requests are those of the release's
// frontend (golden peer/*): from 1.4 on it names pictures by their URL, so that a router has only to know their size. Without --other
// upstream's figures come from another day on the same kind of machine (peer-figures.ts): where the worker alone takes fewer requests/s
// today than it took then, CPU and milliseconds are dearer by as much. Shares (requests/s through the router for each that the worker
// alone takes) do not depend on that. In brackets: the bar, ours for each of upstream's.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { decodeDataFrame, decodeEngineOutput, errorOf, stringifyJson } from "@mm-router/protocol";
import { type Child, type EndpointClient, startChild } from "@mm-router/runtime";
import { startDynamoWorker } from "@mm-router/testkit";
import { load } from "./support/load.ts";
import { bodiesOf, type PeerFigure, peerLoads, peerProcess, type PeerLoad, type PeerRelease } from "./support/peer-figures.ts";
import { servePictures } from "./support/picture-server.ts";
import { pictureFiles } from "./support/pictures.ts";
import { cpuMsOf, quantile, residentMibOf } from "./support/process-cost.ts";
import { type BenchStack, benchStack, until } from "./support/stack.ts";

const {
  values: { other },
  positionals: asked,
} = parseArgs({ options: { other: { type: "string" } }, allowPositionals: true });
/** Whose figures ours are compared with. */
const theirs = other === undefined ? "upstream's" : "other's";
const namespace = "bench";
const component = "workers";
const rounds = 4;
/** Before anything is measured: code compiled, connections open. */
const warmRequests = 4_000;

interface Way {
  readonly client: EndpointClient;
  /** undefined: the worker alone. */
  readonly pid?: number;
  readonly readyMs?: number;
}

interface Measured {
  readonly durations: number[];
  cpuMs: number;
  seconds: number;
}

type Rate = Required<PeerFigure>["rate"];

type Row = Record<string, string | number>;

await using pictures = await servePictures(await pictureFiles());
for (const release of ["1.0.2", "1.4.2"] as const) {
  if (asked.length > 0 && !asked.includes(release)) continue;
  const { loads, processes } = await table(release);
  console.log(`workers of ${release}`);
  console.table(loads);
  console.table(processes);
}

async function table(release: PeerRelease): Promise<{ loads: Row[]; processes: Row[] }> {
  await using stack = await benchStack("nats", {
    DYN_MM_ALLOW_INTERNAL: "1",
    MMR_IMAGE_FRESH_MS: "600000",
    HF_HUB_OFFLINE: "1",
    DYN_EVENT_PLANE: "nats",
  });
  const noEngineTime = { SIM_TOKEN_MS: "0", SIM_PREFILL_US: "0" };
  const worker = { release, model: stack.modelFolder, servedName: "bench__internal", component, engine: noEngineTime };
  stack.own(await startDynamoWorker(stack.place(namespace), worker));
  const runtime = await stack.connect();
  const clientOf = (name: string): EndpointClient => runtime.endpoint({ namespace, component: name, endpoint: "generate" }).client();
  const direct: Way = { client: clientOf(component) };
  await until("the worker", () => direct.client.instances.list().length === 1);
  const started = async (name: string, start: (flags: readonly string[]) => Child): Promise<Way> => {
    const client = clientOf(name);
    await client.ready();
    const from = performance.now();
    const flags = ["--namespace", namespace, "--component", name, "--downstream-component", component, "--block-size", "32"];
    const { pid } = start(["--model", stack.modelFolder, ...flags]);
    await until(`the record of ${name}`, () => client.instances.list().length === 1);
    return { client, pid: pid!, readyMs: performance.now() - from };
  };
  const ours = await started("ours", (flags) => stack.mmr("mm-router", ...flags));
  const routers: Way[] = [ours];
  if (other !== undefined) routers.push(await started("other", (flags) => otherRouter(stack, other, flags)));
  const ways = [direct, ...routers];
  const bodies = bodyMakers(release);
  for (const { client } of ways) await load(warmRequests, 8, () => ask(client, bodies(peerLoads[0]!)));
  const rows: Row[] = [];
  for (const each of peerLoads) rows.push(await measured(each, ways, () => bodies(each), release));
  return { loads: rows, processes: [processRow(ours, routers[1], release)] };
}

function processRow(ours: Way, compared: Way | undefined, release: PeerRelease): Row {
  const { memoryBar, readyBarMs } = peerProcess;
  const residentMib = compared === undefined ? peerProcess.residentMib : residentMibOf(compared.pid!);
  return {
    MiB: Math.round(residentMibOf(ours.pid!)),
    [`${theirs} MiB`]: Math.round(residentMib),
    "MiB bar": Math.round(residentMib * memoryBar),
    "ready ms": Math.round(ours.readyMs!),
    [`${theirs} ready ms`]: Math.round(compared?.readyMs ?? peerProcess.readyMs[release]),
    "ready bar ms": readyBarMs,
  };
}

function otherRouter(stack: BenchStack, command: string, flags: readonly string[]): Child {
  const child = startChild({
    name: "other",
    command: "sh",
    args: ["-c", `${command} "$@"`, "sh", ...flags],
    environment: stack.environment,
  });
  stack.own({ [Symbol.asyncDispose]: async () => void (await child.terminate(5_000)) });
  return child;
}

async function measured(each: PeerLoad, ways: readonly Way[], body: () => Buffer, release: PeerRelease): Promise<Row> {
  const results = new Map(ways.map((way): [Way, Measured] => [way, { durations: [], cpuMs: 0, seconds: 0 }]));
  for (const { client } of ways) await load(each.requests / rounds, each.atOnce, () => ask(client, body()));
  for (let round = 0; round < rounds; round++) {
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) await measureRound(way, results.get(way)!, each, body);
  }
  const [alone, ours, compared] = ways.map((way) => results.get(way)!);
  return rowOf(each, figureOf(each, ours!, alone!), compared === undefined ? each.peer[release] : figureOf(each, compared, alone!));
}

function figureOf({ requests }: PeerLoad, through: Measured, alone: Measured): Required<PeerFigure> {
  return {
    cpuMs: through.cpuMs / requests,
    addedP50Ms: quantile(through.durations, 0.5) - quantile(alone.durations, 0.5),
    rate: { through: requests / through.seconds, alone: requests / alone.seconds },
  };
}

async function measureRound(way: Way, result: Measured, each: PeerLoad, body: () => Buffer): Promise<void> {
  const cpuBefore = cpuMsOfWay(way);
  const from = performance.now();
  result.durations.push(...(await load(each.requests / rounds, each.atOnce, () => ask(way.client, body()))));
  result.seconds += (performance.now() - from) / 1000;
  result.cpuMs += cpuMsOfWay(way) - cpuBefore;
}

function cpuMsOfWay({ pid }: Way): number {
  return pid === undefined ? 0 : cpuMsOf(pid);
}

function rowOf({ name, bars }: PeerLoad, ours: Required<PeerFigure>, peer: PeerFigure): Row {
  const { addedP50Ms, rate } = peer;
  return {
    load: name,
    "CPU ms": ours.cpuMs.toFixed(2),
    [theirs]: peer.cpuMs.toFixed(2),
    "CPU ×": against(ours.cpuMs / peer.cpuMs, bars.cpu),
    "added p50 ms": ours.addedP50Ms.toFixed(2),
    [`${theirs} p50`]: addedP50Ms?.toFixed(2) ?? "",
    "p50 ×": addedP50Ms === undefined ? "" : against(ours.addedP50Ms / addedP50Ms, bars.added),
    "req/s of the worker's": outOf(ours.rate),
    [`${theirs} req/s`]: rate === undefined ? "" : outOf(rate),
    "share ×": rate === undefined ? "" : atLeast(shareOf(ours.rate) / shareOf(rate), bars.rate),
  };
}

function shareOf({ through, alone }: Rate): number {
  return through / alone;
}

function outOf({ through, alone }: Rate): string {
  return `${through.toFixed(0)} of ${alone.toFixed(0)}`;
}

/** A ratio, and the most that it may be. */
function against(ratio: number, bar: number | undefined): string {
  return `${ratio.toFixed(2)}${bar === undefined ? "" : ` (${bar.toFixed(2)})`}`;
}

/** A ratio, and the least that it should be. */
function atLeast(ratio: number, bar: number | undefined): string {
  return `${ratio.toFixed(1)}${bar === undefined ? "" : ` (${bar})`}`;
}

function bodyMakers(release: PeerRelease): (each: PeerLoad) => Buffer {
  const bodies = bodiesOf(release);
  const randomTokens = (count: number): number[] => Array.from({ length: count }, () => Math.floor(Math.random() * 150_000)); // no prompt twice
  const newName = (): string => randomUUID().replaceAll("-", "").slice(0, 16);
  const warmName = newName();
  return ({ kind, size }) => {
    if (kind === "text") return Buffer.from(stringifyJson(bodies.text(randomTokens(size))));
    const name = kind === "warm" ? warmName : newName();
    return Buffer.from(stringifyJson(bodies.image(pictures.urlOf(`${size}.jpg`, name), name)));
  };
}

/** A request that fails is answered fast: only one that ends with a finish reason counts. */
async function ask(client: EndpointClient, body: Buffer): Promise<void> {
  const call = { contextId: randomUUID(), body, signal: new AbortController().signal };
  let last: Buffer | undefined;
  for await (const batch of await client.roundRobin(call)) last = batch.at(-1);
  assert(last !== undefined, "an empty answer");
  const { item = {} } = decodeDataFrame("json", last);
  const error = errorOf(item);
  if (error !== undefined) throw error;
  assert(decodeEngineOutput(item.data).finish_reason, "an answer without its end");
}
