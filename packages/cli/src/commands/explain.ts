// `mmr explain`: why a worker would be chosen for a chat request, asked of the system as it runs.
//
//   request (file or stdin) ─ the frontend's own steps ─▶ worker request ─▶ endpoint `explain` of an mm-router ─▶ table or JSON
//
// Nothing is booked or sent to a worker. With several replicas one of them answers: each knows its own load.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { type ChatPreview, frontendFields, previewChat } from "@mm-router/frontend";
import { decodeExplanation, explainEndpoint, type Explanation } from "@mm-router/mm-router";
import { AppError, type CardEntry, cardPrefix, decodeCardEntry, decodeDataFrame, dynAddressOf, errorOf } from "@mm-router/protocol";
import {
  type ConfigOf,
  connectRuntime,
  createLogger,
  createMetrics,
  decimal,
  type Discovery,
  type Environment,
  field,
  helpText,
  listedKeys,
  parseConfig,
  type ResponseStream,
  type Runtime,
  runtimeConfigOf,
  withDeadline,
  yesNo,
} from "@mm-router/runtime";
import { placeFields } from "../cluster/place-fields.ts";
import { type ExplainedChat, explanationTable } from "../explain/explanation-table.ts";

const fields = {
  ...placeFields,
  timeoutS: field(decimal(0).default(30), { flag: "timeout", unit: "seconds", help: "how long everything together may take" }),
  json: field(yesNo.default(false), { flag: "json", help: "one JSON object instead of a table" }),
};

const usage = "mmr explain [request.json] [flags]     without a file: a chat request on stdin";

export async function run(argv: readonly string[]): Promise<number> {
  if (argv.includes("--help")) {
    process.stdout.write(helpText(usage, fields));
    return 0;
  }
  const file = argv[0]?.startsWith("--") === false ? argv[0] : undefined;
  const config = parseConfig(fields, file === undefined ? argv : argv.slice(1), process.env);
  const request = file === undefined ? await buffer(process.stdin) : await fileBytes(file);
  const chat = await withDeadline(
    (signal) => explained(request, config, { environment: process.env, signal }),
    config.timeoutS * 1000,
    "the explanation",
  );
  process.stdout.write(config.json ? `${JSON.stringify(chat)}\n` : explanationTable(chat));
  return 0;
}

interface Surroundings {
  readonly environment: Environment;
  readonly signal: AbortSignal;
}

async function explained(request: Buffer, config: ConfigOf<typeof fields>, { environment, signal }: Surroundings): Promise<ExplainedChat> {
  await using opened = new AsyncDisposableStack();
  const log = createLogger({ service: "explain", level: "error" });
  const service = { name: "explain", version: "0" };
  const connecting = connectRuntime(runtimeConfigOf(config, service), { log, metrics: createMetrics({ processMetrics: false }) });
  const runtime = opened.adopt(await connecting, (connected) => connected.close());
  const cards = await routerCards(runtime.discovery, config);
  const preview = await previewChat(request, parseConfig(frontendFields, [], environment), {
    log,
    signal,
    environment,
    cardOf: (model) => cardNamed(model, cards, config),
    clientOf: ({ address }) => opened.adopt(runtime.endpoint(address).client(), (client) => client.close()),
  });
  return await ask(preview, runtime, signal); // before the runtime closes
}

async function ask({ entry, body, prompt }: ChatPreview, runtime: Runtime, signal: AbortSignal): Promise<ExplainedChat> {
  using opened = new DisposableStack();
  const client = opened.adopt(runtime.endpoint({ ...entry.address, endpoint: explainEndpoint }).client(), (endpoint) => endpoint.close());
  await client.ready();
  const stream = await client.roundRobin({ contextId: randomUUID(), body, signal });
  return {
    model: entry.card.display_name,
    endpoint: dynAddressOf(entry.address),
    router: `${stream.instanceId}`,
    block_size: entry.card.kv_cache_block_size,
    prompt_characters: prompt?.length ?? null,
    explanation: await answerOf(stream),
  };
}

async function answerOf(stream: ResponseStream): Promise<Explanation> {
  let explanation: Explanation | undefined;
  for await (const frames of stream) {
    for (const frame of frames) {
      const { item } = decodeDataFrame("json", frame);
      const error = item && errorOf(item);
      if (error !== undefined) throw error;
      explanation ??= decodeExplanation(item?.data);
    }
  }
  if (explanation === undefined) throw new AppError("protocol_error", "mm-router ended its answer without an explanation");
  return explanation;
}

type Place = Pick<ConfigOf<typeof fields>, "namespace" | "component">;

async function routerCards(discovery: Discovery, { namespace, component }: Place): Promise<CardEntry[]> {
  const cards = await listedKeys(discovery, cardPrefix({ namespace, component }));
  return Array.from(cards, ([key, value]) => decodeCardEntry(key, value));
}

function cardNamed(model: string, cards: readonly CardEntry[], { namespace, component }: Place): CardEntry {
  const entry = cards.find(({ card }) => card.display_name === model);
  if (entry !== undefined) return entry;
  const names = [...new Set(cards.map(({ card }) => card.display_name))];
  const there = names.length === 0 ? "no mm-router is there" : `models there: ${names.join(", ")}`;
  throw new AppError("configuration", `no mm-router of ${namespace}/${component} serves model "${model}"; ${there}`);
}

async function fileBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new AppError("configuration", `the request cannot be read: ${(cause as Error).message}`, { cause });
  }
}
