// The simulated worker as a process: what `ENGINE=simulated` starts instead of `dynamo.trtllm`.
import { type EndpointAddress, parseDynAddress } from "@mm-router/protocol";
import { connectRuntime, decimal, field, integer, runService, runtimeConfigOf, runtimeFields, textList } from "@mm-router/runtime";
import { type Fault, faultKinds, sentenceScript, simulatedSentence } from "./script.ts";
import { engineDefaults, startSimulatedWorker } from "./worker.ts";

/** Any text. */
const text = textList.transform((parts) => parts.join(","));

const fields = {
  ...runtimeFields,
  model: field(text, { flag: ["model", "model-path"], env: "MODEL", help: "model folder" }),
  servedModelName: field(text.optional(), { flag: "served-model-name", help: "name in the card (default: the folder)" }),
  namespace: field(text.default("default"), { flag: "namespace", env: "DYN_NAMESPACE", help: "Dynamo namespace" }),
  component: field(text.default("trtllm"), { flag: "component", help: "Dynamo component" }),
  endpoint: field(text.default("generate"), { flag: "endpoint", help: "Dynamo endpoint, or the whole address as dyn://a.b.c" }),
  release: field(text.default("1.4.2"), { flag: "release", help: "the Dynamo release whose worker it plays" }),
  blockSize: field(integer(1).default(engineDefaults.blockSize), {
    flag: ["block-size", "kv-block-size"],
    unit: "tokens",
    help: "KV block",
  }),
  blocks: field(integer(1).default(engineDefaults.blocks), { flag: "blocks", unit: "blocks", help: "KV cache" }),
  batchMax: field(integer(1).default(engineDefaults.batchMax), { flag: "batch-max", unit: "requests", help: "running at once" }),
  prefillUs: field(decimal(0).default(engineDefaults.prefillUs), { flag: "prefill-us", unit: "µs", help: "per uncached prompt token" }),
  tokenMs: field(decimal(0).default(engineDefaults.tokenMs), { flag: "token-ms", unit: "ms", help: "per answer token" }),
  answerTokens: field(integer(1).default(simulatedSentence.length), { flag: "answer-tokens", unit: "tokens", help: "length of answers" }),
  fault: field(text.transform(faultOf).optional(), { flag: "fault", help: `KIND:TOKENS, KIND one of ${faultKinds.join(", ")}` }),
};

function faultOf(text: string): Fault {
  const [name, tokens] = text.split(":");
  const kind = faultKinds.find((known) => known === name);
  if (kind === undefined) throw new RangeError(`${text} is not of the form KIND:TOKENS`);
  return { kind, afterTokens: Number(tokens ?? 0) };
}

await runService({
  name: "simulated-worker",
  version: "0.1.0",
  argv: process.argv.slice(2),
  fields,
  async create(config, { log, metrics, tracer, service }) {
    log.warn("simulated worker: answers are made up, no model is run");
    const runtime = await connectRuntime(runtimeConfigOf(config, service), { log, metrics, tracer });
    const worker = await startSimulatedWorker(runtime, {
      address: addressOf(config),
      model: config.model,
      servedName: config.servedModelName ?? config.model,
      release: config.release,
      engine: config,
      script: sentenceScript(config.answerTokens, config.fault),
      log,
    });
    return {
      endpoints: () => ({ [addressOf(config).endpoint]: "ready" }),
      async close() {
        await worker.close(config.shutdownDeadlineS * 1000);
        await runtime.close();
      },
    };
  },
});

function addressOf({ namespace, component, endpoint }: EndpointAddress): EndpointAddress {
  return endpoint.startsWith("dyn://") ? parseDynAddress(endpoint) : { namespace, component, endpoint };
}
