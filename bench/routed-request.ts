// What one routed text request costs in the mm-router process, and what it adds to the way.
//
//   this process ──▶ mm-router ──▶ fast worker        against        this process ──▶ fast worker
//
// Timed: whole requests, one token each, prompts all different; both ways in turns, so that a busy machine hits both.
// CPU is the router process's own (/proc), and beside it what a process costs that moves the same bytes over as many sockets and
// knows nothing of them (bare-router.ts), in the same rounds: the machine's mood is in both.
// Goals: ≤ 0.5 ms (140 tokens), ≤ 0.8 ms (2 000 tokens), 16 at once; upstream's Python router took 1.1 and 2.6 ms (spec: peer.md §10).
import { randomUUID } from "node:crypto";
import type { EndpointClient } from "@mm-router/runtime";
import { startBareRouter } from "./support/bare-load.ts";
import { load } from "./support/load.ts";
import { cpuMsOf, quantile, residentMibOf } from "./support/process-cost.ts";
import { benchStack, until } from "./support/stack.ts";

const plane = process.argv[2] === "tcp" ? "tcp" : "nats";
const namespace = "bench";
const requests = 2_000;

await using stack = await benchStack(plane);
const { modelFolder } = stack;
for (let worker = 0; worker < 2; worker++) await stack.script("fast-worker", namespace, "trtllm", modelFolder, "bench__internal", 1);
stack.mmr("indexer", "--namespace", namespace, "--component", "trtllm", "--block-size", "32", "--http-port", "0");

const runtime = await stack.connect();
const clientOf = (component: string, endpoint = "generate"): EndpointClient =>
  runtime.endpoint({ namespace, component, endpoint }).client();
const viaRouter = clientOf("mm_router");
const direct = clientOf("trtllm");
const indexers = clientOf("trtllm", "kv_indexer_query");
await until("workers and indexer", () => direct.instances.list().length === 2 && indexers.instances.list().length === 1);

const from = performance.now();
const router = stack.mmr(
  "mm-router",
  "--namespace",
  namespace,
  "--model",
  modelFolder,
  "--served-model-name",
  "bench",
  "--block-size",
  "32",
);
await until("the router's record", () => viaRouter.instances.list().length === 1);
const readyMs = performance.now() - from;

const rows: Record<string, string | number>[] = [];
for (const tokens of [140, 2_000]) {
  const bare = await startBareRouter(stack, bodyOf(tokens).length);
  for (const concurrency of [1, 16]) {
    await load(2_000, concurrency, () => ask(viaRouter, tokens)); // warm: code compiled, connections open
    await load(500, concurrency, bare.ask);
    const before = cpuMsOf(router.pid!);
    const bareBefore = cpuMsOf(bare.process.pid!);
    const routed: number[] = [];
    const straight: number[] = [];
    for (let round = 0; round < 4; round++) {
      routed.push(...(await load(requests / 4, concurrency, () => ask(viaRouter, tokens))));
      straight.push(...(await load(requests / 4, concurrency, () => ask(direct, tokens))));
      await load(requests / 4, concurrency, bare.ask);
    }
    const cpuMs = (cpuMsOf(router.pid!) - before) / requests;
    const bareMs = (cpuMsOf(bare.process.pid!) - bareBefore) / requests;
    rows.push({
      tokens,
      "at once": concurrency,
      "router CPU ms": cpuMs.toFixed(2),
      "floor CPU ms": bareMs.toFixed(2),
      "× floor": (cpuMs / bareMs).toFixed(1),
      "added p50 ms": (quantile(routed, 0.5) - quantile(straight, 0.5)).toFixed(2),
      "added p99 ms": (quantile(routed, 0.99) - quantile(straight, 0.99)).toFixed(2),
    });
  }
}
console.table(rows);
console.log(
  `plane ${plane}; record in etcd ${Math.round(readyMs)} ms after the process was started; ${Math.round(residentMibOf(router.pid!))} MiB resident`,
);

async function ask(client: EndpointClient, tokens: number): Promise<void> {
  const call = { contextId: randomUUID(), body: bodyOf(tokens), signal: new AbortController().signal };
  for await (const _batch of await client.roundRobin(call)); // the answer's content is the worker's business
}

/** As a 1.6 frontend writes it; random tokens, so that no prompt is known. */
function bodyOf(tokens: number): Buffer {
  const ids = Array.from({ length: tokens }, () => Math.floor(Math.random() * 150_000));
  return Buffer.from(
    `{"model":"bench","token_ids":[${ids.join(",")}],"stop_conditions":{"max_tokens":1,"stop":null,"stop_token_ids":null,"stop_token_ids_visible":null,"stop_token_ids_hidden":[151645,151643],"min_tokens":null,"ignore_eos":null,"max_thinking_tokens":null},` +
      `"sampling_options":{"n":null,"best_of":null,"presence_penalty":null,"frequency_penalty":null,"repetition_penalty":null,"temperature":null,"top_p":null,"top_k":null,"min_p":null,"use_beam_search":null,"length_penalty":null,"seed":null,"include_stop_str_in_output":null,"guided_decoding":null},` +
      `"output_options":{"logprobs":null,"prompt_logprobs":null,"skip_special_tokens":null,"formatted_prompt":null,"return_tokens_as_token_ids":null},"eos_token_ids":[151645,151643],"mdc_sum":null,"annotations":[],"routing":{},"router_config_override":null}`,
  );
}
