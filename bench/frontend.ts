// The frontend beside the real one (Dynamo 1.6.1), over the same scripted workers, and beside a floor, in the same rounds.
//
//   this process ─HTTP─▶ our frontend  ──▶ fast workers
//   this process ─HTTP─▶ real frontend ──▶ fast workers
//   this process ─HTTP─▶ pump ─TCP─▶ source             the floor: node:http that copies the bytes of a connection into its answer
//
//   short   140 tokens in, 1 out, 16 at once      requests/s, CPU per request
//   alone   140 tokens in, 1 out, 1 at once       added TTFT: time to the first event beyond the floor's
//   prompt  2 000 tokens in, 1 out, 4 at once     what a token of a prompt costs: the difference to `short`
//   stream  140 tokens in, 400 out, 8 at once     what a streamed token costs: the difference to `short`
//   open    500 streams, a token a second         resident memory
//
// CPU is the process's own (/proc), all threads. All share the machine with this process and the workers, so requests/s are those of a
// whole small machine; ratios hold better than numbers. Prompts are pieces of this project's documents, none twice.
// Then tokenizing and rendering alone, beside Hugging Face tokenizers and jinja2. Goal: ahead on each.
import { freePort } from "@mm-router/cli/infra";
import { startPython } from "@mm-router/testkit";
import { HttpLane, HttpLanes } from "./support/http-lane.ts";
import { load } from "./support/load.ts";
import { cpuMsOf, quantile, residentMibOf } from "./support/process-cost.ts";
import { pieceOf } from "./support/prose.ts";
import { benchStack, until } from "./support/stack.ts";
import { textCosts } from "./support/text-cost.ts";

const release = "1.6.1";
const namespace = "bench";
const streamedTokens = 400;
const rounds = 4;
const openStreams = 500;
/** Before anything is measured, so that V8 has compiled what is used: a service runs for weeks. */
const warmRequests = 3_000;
/** Bytes of one chunk that a frontend writes. */
const chunkBytes = 240;
/** Characters of a prompt; documents have some 3.6 to a token. */
const promptLength = { short: 450, long: 7_150 };

/** Where a model is served, by which process. */
interface Served {
  readonly pid: number;
  readonly port: number;
}

interface Way {
  readonly name: string;
  readonly one: Served;
  readonly many: Served;
}

/** Workers that answer with one token, and with many at once. A third, of frontends only, takes its time. */
type Model = "one" | "many";

interface Load {
  readonly name: "short" | "alone" | "prompt" | "stream";
  readonly model: Model;
  readonly prompt: number;
  readonly requests: number;
  readonly concurrency: number;
}

const loads: readonly Load[] = [
  { name: "short", model: "one", prompt: promptLength.short, requests: 1_200, concurrency: 16 },
  { name: "alone", model: "one", prompt: promptLength.short, requests: 400, concurrency: 1 },
  { name: "prompt", model: "one", prompt: promptLength.long, requests: 320, concurrency: 4 },
  { name: "stream", model: "many", prompt: promptLength.short, requests: 96, concurrency: 8 },
];

interface Measured {
  cpuMs: number;
  seconds: number;
  readonly firstMs: number[];
}

await using stack = await benchStack("tcp");
const workers = { one: [1], many: [streamedTokens], slow: [600, 1_000] };
for (const [name, behaviour] of Object.entries(workers))
  await stack.script("fast-worker", namespace, name, stack.modelFolder, name, ...behaviour);
const ways = await Promise.all([floor(), ours(), real()]);
const costs = new Map(ways.map(({ name }) => [name, new Map<Load["name"], Measured>()]));
for (const each of loads) await measure(each);
const mibs = new Map<string, number>();
for (const way of ways.slice(1)) mibs.set(way.name, await residentWithStreams(way));
report();
console.table(await textCosts(stack.modelFolder));

async function floor(): Promise<Way> {
  return { name: "floor", one: await pumpOf(1), many: await pumpOf(streamedTokens) };
}

async function pumpOf(tokens: number): Promise<Served> {
  const [port, sourcePort] = [await freePort(), await freePort()];
  await stack.script("source", sourcePort, tokens, chunkBytes);
  const pump = await stack.script("pump", port, sourcePort);
  return { pid: pump.pid!, port };
}

async function ours(): Promise<Way> {
  const port = await freePort();
  const child = stack.mmr("frontend", "--http-port", `${port}`, "--namespace", namespace);
  await untilServed(port);
  return frontend("ours", { pid: child.pid!, port });
}

async function real(): Promise<Way> {
  const port = await freePort();
  const started = stack.own(
    await startPython(stack.place(namespace), {
      name: "dynamo.frontend",
      release,
      args: ["-m", "dynamo.frontend", "--http-port", `${port}`],
      environment: { DYN_LOG: "warn" },
    }),
  );
  await untilServed(port);
  return frontend(`real ${release}`, { pid: started.child.pid!, port });
}

function frontend(name: string, served: Served): Way {
  return { name, one: served, many: served };
}

async function untilServed(port: number): Promise<void> {
  await until(`models on port ${port}`, async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/models`);
    return ((await answer.json()) as { data: unknown[] }).data.length === 3;
  });
}

async function measure(each: Load): Promise<void> {
  const lanes = new Map<Way, HttpLanes>();
  for (const way of ways) {
    lanes.set(way, await HttpLanes.open(way[each.model].port, each.concurrency));
    costs.get(way.name)!.set(each.name, { cpuMs: 0, seconds: 0, firstMs: [] });
    const warm = each.name === "short" ? warmRequests : each.requests / rounds;
    await load(warm, each.concurrency, async () => void (await lanes.get(way)!.ask(chat(each))));
  }
  for (let round = 0; round < rounds; round++) {
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) await measureRound(way, each, lanes.get(way)!);
  }
  for (const opened of lanes.values()) opened.close();
}

async function measureRound(way: Way, each: Load, lanes: HttpLanes): Promise<void> {
  const measured = costs.get(way.name)!.get(each.name)!;
  const { pid } = way[each.model];
  const cpuBefore = cpuMsOf(pid);
  const from = performance.now();
  await load(each.requests / rounds, each.concurrency, async () => {
    measured.firstMs.push((await lanes.ask(chat(each))).firstMs);
  });
  measured.seconds += (performance.now() - from) / 1000;
  measured.cpuMs += cpuMsOf(pid) - cpuBefore;
}

/** Resident memory while 500 streams are open and each has told something. */
async function residentWithStreams({ one: { pid, port } }: Way): Promise<number> {
  const open = await Promise.all(Array.from({ length: openStreams }, () => HttpLane.open(port)));
  await Promise.all(open.map((lane) => lane.begin(chat({ model: "slow", prompt: promptLength.short }), 4)));
  const mib = residentMibOf(pid);
  for (const lane of open) lane.close();
  return mib;
}

function requestsOf(name: Load["name"]): number {
  return loads.find((each) => each.name === name)!.requests;
}

function chat({ model, prompt }: { readonly model: Model | "slow"; readonly prompt: number }): string {
  return JSON.stringify({ model, stream: true, max_tokens: 1_000, messages: [{ role: "user", content: pieceOf("prose", prompt) }] });
}

function report(): void {
  const perRequest = (way: string, name: Load["name"]): number => costs.get(way)!.get(name)!.cpuMs / requestsOf(name);
  const added = (way: string, p: number): string => {
    const at = (name: string): number => quantile(costs.get(name)!.get("alone")!.firstMs, p);
    return (at(way) - at("floor")).toFixed(2);
  };
  const rows = ways.map(({ name }) => ({
    process: name,
    "requests/s": Math.round(requestsOf("short") / costs.get(name)!.get("short")!.seconds),
    "CPU ms/request": perRequest(name, "short").toFixed(2),
    "2 000 tokens in, ms": perRequest(name, "prompt").toFixed(2),
    "µs/streamed token": (((perRequest(name, "stream") - perRequest(name, "short")) * 1000) / streamedTokens).toFixed(1),
    "added TTFT p50 ms": added(name, 0.5),
    p99: added(name, 0.99),
    "MiB at 500 streams": mibs.get(name)?.toFixed(0) ?? "",
  }));
  console.table(rows);
}
