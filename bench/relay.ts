// What a relayed token costs, against a pump that only copies bytes (the floor), in the same run.
//
//   floor      client ─HTTP─▶ pump ─TCP─▶ source            bytes of an SSE stream, as they are
//   frontend   client ─HTTP─▶ frontend ──▶ fast worker       detokenize, stops, chunks
//   floor      client ─TCP─▶ pump ─TCP─▶ source
//   mm-router  client ──▶ mm-router ──▶ fast worker          frames go through, first token and end are looked at
//
// CPU of the process in the middle (/proc) per token and per request; 500 tokens a request, each a write of its own as an engine's
// come, 8 at once. Goal: ≤ 2 × its floor.
import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { freePort } from "@mm-router/cli/infra";
import { load } from "./support/load.ts";
import { cpuMsOf } from "./support/process-cost.ts";
import { benchStack, until } from "./support/stack.ts";

const tokens = 500;
const requests = 400;
const concurrency = 8;
const namespace = "bench";
/** Bytes of one chunk that the frontend writes, and of one frame that the worker writes. */
const bytes = { sse: 240, frame: 94 };

await using stack = await benchStack("tcp");
const { modelFolder } = stack;
const [httpPort, pumpPort, tcpPumpPort, sourcePort, frameSourcePort] = [
  await freePort(),
  await freePort(),
  await freePort(),
  await freePort(),
  await freePort(),
];
await stack.script("source", sourcePort, tokens, bytes.sse);
await stack.script("source", frameSourcePort, tokens, bytes.frame);
const pump = await stack.script("pump", pumpPort, sourcePort);
const tcpPump = await stack.script("pump", tcpPumpPort, frameSourcePort, "tcp");
await stack.script("fast-worker", namespace, "direct", modelFolder, "direct", tokens);
await stack.script("fast-worker", namespace, "trtllm", modelFolder, "routed__internal", tokens);
const frontend = stack.mmr("frontend", "--http-port", String(httpPort), "--namespace", namespace);
const router = stack.mmr(
  "mm-router",
  "--namespace",
  namespace,
  "--model",
  modelFolder,
  "--served-model-name",
  "routed",
  "--block-size",
  "32",
);

const runtime = await stack.connect();
const viaRouter = runtime.endpoint({ namespace, component: "mm_router", endpoint: "generate" }).client();
const body = Buffer.from(
  JSON.stringify({
    model: "routed",
    token_ids: [1, 2, 3],
    stop_conditions: { max_tokens: tokens },
    sampling_options: {},
    output_options: {},
    eos_token_ids: [],
    annotations: [],
  }),
);
const chat = JSON.stringify({ model: "direct", stream: true, max_tokens: tokens, messages: [{ role: "user", content: "hi" }] });

const overHttp = async (port: number): Promise<void> => {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: chat,
  });
  for await (const _chunk of answer.body!);
};
const overTcp = async (): Promise<void> => {
  for await (const _chunk of connect({ port: tcpPumpPort, host: "127.0.0.1" }));
};
const overRouter = async (): Promise<void> => {
  for await (const _batch of await viaRouter.roundRobin({ contextId: randomUUID(), body, signal: new AbortController().signal }));
};
await until("the router", () => viaRouter.instances.list().length === 1);
await until("the model", async () => (await (await fetch(`http://127.0.0.1:${httpPort}/v1/models`)).text()).includes('"direct"'));

const ways = [
  { name: "pump HTTP→TCP (floor)", pid: pump.pid!, ask: () => overHttp(pumpPort) },
  { name: "frontend", pid: frontend.pid!, ask: () => overHttp(httpPort) },
  { name: "pump TCP→TCP (floor)", pid: tcpPump.pid!, ask: overTcp },
  { name: "mm-router", pid: router.pid!, ask: overRouter },
];
const costs = new Map(ways.map(({ name }) => [name, 0]));
for (const { ask } of ways) await load(50, concurrency, ask); // warm
for (let round = 0; round < 4; round++) {
  for (const { name, pid, ask } of round % 2 === 0 ? ways : ways.toReversed()) {
    const before = cpuMsOf(pid);
    await load(requests / 4, concurrency, ask);
    costs.set(name, costs.get(name)! + cpuMsOf(pid) - before);
  }
}
console.table(
  ways.map(({ name }, index) => {
    const cpu = costs.get(name)!;
    const floor = costs.get(ways[index - (index % 2)]!.name)!;
    return {
      process: name,
      "µs per token": ((cpu * 1000) / requests / tokens).toFixed(2),
      "ms per request": (cpu / requests).toFixed(2),
      "× floor": (cpu / floor).toFixed(2),
    };
  }),
);
