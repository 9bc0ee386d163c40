// A worker that costs as little as possible, as a process: what is measured is what stands before it.
//
//   node fast-worker.ts NAMESPACE COMPONENT MODEL_FOLDER DISPLAY_NAME TOKENS [MS]
//
// Answers every request with TOKENS items of one token each, MS apart (default: at once), then a finish item; encoded once. A fake, for benches only.
import { encodeCardEntry, cardKey, decodeModelCard, type ModelCard } from "@mm-router/protocol";
import { cardFileOf } from "@mm-router/runtime";
import { join } from "node:path";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { connectTo } from "./connection.ts";

const [namespace, component, folder, displayName, tokensText, msText] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string?,
];
const tokens = Number(tokensText);
const pauseMs = Number(msText ?? 0);
const runtime = await connectTo(process.env, "fast-worker");
const address = { namespace, component, endpoint: "generate" };
const item = Buffer.from('{"data":{"data":{"token_ids":[9707],"index":0}},"complete_final":false}');
const usage = `{"prompt_tokens":140,"completion_tokens":${tokens + 1},"total_tokens":${tokens + 141}}`;
const last = Buffer.from(
  `{"data":{"data":{"token_ids":[0],"index":0,"finish_reason":"length","completion_usage":${usage}}},"complete_final":false}`,
);

await runtime.endpoint(address).serve(async (_request, sink) => {
  for (let sent = 0; sent < tokens; sent++) {
    await sink.frames([item]);
    await (pauseMs > 0 ? sleep(pauseMs) : turn());
  }
  await sink.frames([last]);
});
const card = await cardOf();
await runtime.discovery.register((instanceId) => ({
  key: cardKey(address, instanceId),
  value: encodeCardEntry({ address, instanceId, card }),
}));
process.stdout.write("ready\n");

async function cardOf(): Promise<ModelCard> {
  const file = (name: string) => cardFileOf(join(folder, name));
  return decodeModelCard({
    display_name: displayName,
    slug: "bench",
    source_path: folder,
    model_info: { hf_config_json: await file("config.json") },
    tokenizer: { hf_tokenizer_json: await file("tokenizer.json") },
    prompt_formatter: { hf_tokenizer_config_json: await file("tokenizer_config.json") },
    gen_config: { hf_generation_config_json: await file("generation_config.json") },
    context_length: 32768,
    kv_cache_block_size: 32,
    migration_limit: 0,
    model_type: "Chat | Completions",
    model_input: "Tokens",
    worker_type: "aggregated",
    needs: [],
    runtime_config: { total_kv_blocks: 65536, max_num_batched_tokens: 32768, data_parallel_start_rank: 0, data_parallel_size: 1 },
    media_decoder: null,
    media_fetcher: null,
  });
}
