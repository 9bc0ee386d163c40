// What images cost in the mm-router process, by size and by how much of an image has to be known.
//
//   bare      this process: sharp decodes, BLAKE3 hashes; beside it Pillow and BLAKE3 of a worker's environment
//   text      no image                                what every request costs
//   warm      the same URL again                      nothing is fetched
//   size      other URLs, named by the request        the header is fetched
//   content   other URLs, nobody named them           the file is fetched and hashed           workers ≥ 1.4
//   pixels    other URLs, hashed by their pixels      the file is fetched, decoded, hashed     workers ≤ 1.2
//
//   canary    a text stream of one token per 5 ms through the same router, read by a process of its own: the added p99 of the gaps
//             between its tokens
//
// CPU is the router process's own (/proc), all its threads. Goals (2 cores, this process takes its part of them): warm ≥ 1 000 requests/s,
// pixels ≤ 1.3 × bare, added gap ≤ 2 ms p99 with a core free.
import { randomUUID } from "node:crypto";
import { stringifyJson } from "@mm-router/protocol";
import type { EndpointClient } from "@mm-router/runtime";
import { startCanary } from "./support/canary.ts";
import { load } from "./support/load.ts";
import { servePictures } from "./support/picture-server.ts";
import { type Picture, pictures } from "./support/pictures.ts";
import { cpuMsOf, quantile, residentMibOf } from "./support/process-cost.ts";
import { benchStack, until } from "./support/stack.ts";

const namespace = "bench";
const concurrency = 8;
const modes = ["text", "warm", "size", "content", "pixels"] as const;
type Mode = (typeof modes)[number];

const album = await pictures();
await using served = await servePictures(album);
await using stack = await benchStack("tcp", { DYN_MM_ALLOW_INTERNAL: "1", MMR_IMAGE_FRESH_MS: "600000" });
const { modelFolder } = stack;
await stack.script("fast-worker", namespace, "trtllm", modelFolder, "bench__internal", 1);
const runtime = await stack.connect();
const workers = runtime.endpoint({ namespace, component: "trtllm", endpoint: "generate" }).client();
await until("the worker", () => workers.instances.list().length === 1);
const worker = workers.instances.list()[0]!.instanceId;
await stack.script("fast-worker", namespace, "trtllm", modelFolder, "bench__internal", 400, 5);
await until("the canary's worker", () => workers.instances.list().length === 2);
const canaryWorker = workers.instances.list().find(({ instanceId }) => instanceId !== worker)!.instanceId;
const canary = startCanary(stack);

const rows: Record<string, string | number>[] = [];
for (const mode of modes) await measure(mode);
console.table(rows);

/** A router of its own per mode: nothing is known of what the mode before downloaded. */
async function measure(mode: Mode): Promise<void> {
  const component = `router_${mode}`;
  const dialect = mode === "pixels" ? ["--image-dialect", "oov-s1"] : [];
  const names = ["--model", modelFolder, "--served-model-name", "bench", "--component", component];
  const router = stack.mmr("mm-router", "--namespace", namespace, ...names, "--no-image-sharing", "--no-image-check", ...dialect);
  const client = runtime.endpoint({ namespace, component, endpoint: "generate" }).client();
  await until("the router", () => client.instances.list().length === 1);
  await load(1_000, concurrency, () => ask(client, textBody()));
  for (const picture of mode === "text" ? album.slice(0, 1) : album) {
    const body = (): Buffer => (mode === "text" ? textBody() : imageBody(picture, mode));
    const count = mode === "pixels" ? picture.runs : mode === "text" || mode === "warm" ? 1_000 : 100;
    await load(count / 4, concurrency, () => ask(client, body()));
    const quietGaps = await canaryGaps(component, async () => {});
    const cpuBefore = cpuMsOf(router.pid!);
    const from = performance.now();
    await load(count, concurrency, () => ask(client, body()));
    const seconds = (performance.now() - from) / 1000;
    const cpuMs = (cpuMsOf(router.pid!) - cpuBefore) / count;
    const busyGaps = await canaryGaps(component, (signal) => oneAtATime(() => ask(client, body()), signal));
    const { oursMs, pillowMs } = picture;
    rows.push({
      mode,
      picture: mode === "text" ? "" : picture.name,
      "CPU ms": cpuMs.toFixed(2),
      "bare CPU ms": mode === "pixels" ? oursMs.toFixed(1) : "",
      "× bare": mode === "pixels" ? (cpuMs / oursMs).toFixed(2) : "",
      "Pillow CPU ms": mode === "pixels" ? pillowMs.toFixed(1) : "",
      "requests/s": Math.round(count / seconds),
      "added gap p99 ms": (quantile(busyGaps, 0.99) - quantile(quietGaps, 0.99)).toFixed(1),
      MiB: Math.round(residentMibOf(router.pid!)),
    });
  }
  client.close();
  await router.terminate(5_000);
}

/** Gaps between the tokens of a stream, while something else goes on. */
async function canaryGaps(component: string, besides: (signal: AbortSignal) => Promise<void>): Promise<number[]> {
  const stop = new AbortController();
  const other = besides(stop.signal);
  const gaps = await canary.gaps({ namespace, component, body: textBody(canaryWorker).toString() });
  stop.abort();
  await other;
  return gaps;
}

async function oneAtATime(task: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await task();
}

async function ask(client: EndpointClient, body: Buffer): Promise<void> {
  const call = { contextId: randomUUID(), body, signal: new AbortController().signal };
  for await (const _batch of await client.roundRobin(call)); // the answer's content is the worker's business
}

function imageBody({ name }: Picture, mode: Mode): Buffer {
  const url = served.urlOf(name, mode === "warm" ? "same" : randomUUID());
  const extra = mode === "size" ? { extra_args: { mm_hashes: [randomUUID().replaceAll("-", "").slice(0, 16)] } } : {};
  return bodyOf(worker, [151652, 151655, 151653], { multi_modal_data: { image_url: [{ Url: url }] }, ...extra });
}

function textBody(to = worker): Buffer {
  return bodyOf(to, [], {});
}

function bodyOf(to: bigint, image: readonly number[], more: object): Buffer {
  const text = Array.from({ length: 60 }, () => Math.floor(Math.random() * 150_000)); // so that no prompt is known
  const request = { model: "bench", token_ids: [...text, ...image, ...text], stop_conditions: { max_tokens: 1 }, ...more };
  return Buffer.from(stringifyJson({ ...request, sampling_options: {}, output_options: {}, routing: { backend_instance_id: to } }));
}
