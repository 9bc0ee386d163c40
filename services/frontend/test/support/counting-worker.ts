// A worker process that can be killed: the token at each place of a sequence is a function of the place alone, so that whoever
// goes on with a sequence gives what the first one would have given.
//
//   node counting-worker.ts CARD NAMESPACE       CARD: JSON of the model card; prints {"instance":"<id>"} when it serves
import { cardKey, decodeBody, encodeCardEntry, type ModelCard, parseJson } from "@mm-router/protocol";
import { connectRuntime, createLogger, createMetrics, parseConfig, runtimeConfigOf, runtimeFields } from "@mm-router/runtime";
import { setTimeout as pause } from "node:timers/promises";

interface Request {
  readonly token_ids: readonly number[];
  readonly stop_conditions: { readonly max_tokens: number };
}

const firstId = 1000;
/** Long enough for a kill to meet the stream half way. */
const tokenMs = 4;

const [cardText, namespace] = process.argv.slice(2) as [string, string];
const config = runtimeConfigOf(parseConfig(runtimeFields, [], process.env as Record<string, string>), {
  name: "counting-worker",
  version: "0",
});
const log = createLogger({ service: "counting-worker", level: "error" });
const runtime = await connectRuntime(config, { log, metrics: createMetrics({ processMetrics: false }) });
const address = { namespace, component: "counting", endpoint: "generate" };
const served = await runtime.endpoint(address).serve(async (incoming, sink) => {
  const { token_ids: ids, stop_conditions: stops } = decodeBody(incoming.codec, incoming.body) as Request;
  for (let given = 0; given < stops.max_tokens && !incoming.signal.aborted; given++) {
    const last = given === stops.max_tokens - 1;
    await sink.item({ data: { token_ids: [firstId + ids.length + given], index: 0, ...(last && { finish_reason: "length" }) } });
    await pause(tokenMs);
  }
});
const card = parseJson(cardText) as unknown as ModelCard;
await runtime.discovery.register((instanceId) => ({
  key: cardKey(address, instanceId),
  value: encodeCardEntry({ address, instanceId, card }),
}));
process.stdout.write(`${JSON.stringify({ instance: String(served.instanceId) })}\n`);
