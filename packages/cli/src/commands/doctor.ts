// `mmr doctor`: looks at the live system, says what is wrong and what to do. Exit code 1 when something is.
import { AppError } from "@mm-router/protocol";
import {
  clusterView,
  connectDiscovery,
  connectRuntime,
  createLogger,
  createMetrics,
  type Discovery,
  field,
  helpText,
  listedKeys,
  parseConfig,
  processMetrics,
  type ProcessMetrics,
  type RuntimeConfig,
  runtimeConfigOf,
  sumOf,
  yesNo,
} from "@mm-router/runtime";
import { z } from "zod";
import { placeFields } from "../cluster/place-fields.ts";
import { diagnose, type DoctorPlace, type Finding, predictionFindings, type PredictionTally } from "../doctor/diagnosis.ts";
import { natsFindings } from "../doctor/nats-check.ts";

const fields = {
  ...placeFields,
  downstreamComponent: field(z.string().default("trtllm"), {
    flag: "downstream-component",
    env: "COMPONENT",
    help: "component of the workers",
  }),
  json: field(yesNo.default(false), { flag: "json", help: "one JSON object per finding" }),
};

const service = { name: "doctor", version: "0" };

export async function run(argv: readonly string[]): Promise<number> {
  if (argv.includes("--help")) {
    process.stdout.write(helpText("mmr doctor [flags]", fields));
    return 0;
  }
  const config = parseConfig(fields, argv, process.env);
  const { etcd, nats } = runtimeConfigOf(config, service);
  const place = { namespace: config.namespace, routerComponent: config.component, workerComponent: config.downstreamComponent };
  const findings = [
    ...(await natsFindings(nats)),
    ...(await clusterFindings(
      () => connectDiscovery(etcd, { log: createLogger({ service: "doctor", level: "error" }) }),
      etcd.endpoints.join(","),
      (keys) => diagnose(clusterView(keys), place),
    )),
    ...(await publishedFindings(runtimeConfigOf(config, service), place)),
  ];
  for (const finding of findings) process.stdout.write(config.json ? `${JSON.stringify(finding)}\n` : textOf(finding));
  return findings.some(({ level }) => level === "error") ? 1 : 0;
}

async function clusterFindings(
  connect: () => Promise<Discovery>,
  endpoints: string,
  judge: (keys: ReadonlyMap<string, string>) => Finding[],
): Promise<Finding[]> {
  let discovery: Discovery;
  try {
    discovery = await connect();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [{ level: "error", sentence: `etcd at ${endpoints}: ${error.message}`, remedy: "start etcd, or set ETCD_ENDPOINTS" }];
  }
  try {
    return [{ level: "ok", sentence: `etcd at ${endpoints} answers` }, ...judge(await listedKeys(discovery, "v1/"))];
  } finally {
    await discovery.close();
  }
}

/** What the routers saw of published blocks. Nothing when they cannot be asked: the other findings say why. */
async function publishedFindings(config: RuntimeConfig, { namespace, routerComponent }: DoctorPlace): Promise<Finding[]> {
  try {
    const log = createLogger({ service: "doctor", level: "error" });
    const runtime = await connectRuntime(config, { log, metrics: createMetrics({ processMetrics: false }) });
    try {
      return predictionFindings(talliesOf(await processMetrics(runtime, { namespace, component: routerComponent })));
    } finally {
      await runtime.close();
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [];
  }
}

/** Summed over routers. */
function talliesOf(routers: readonly ProcessMetrics[]): PredictionTally[] {
  const samples = routers.flatMap((router) => router.samples.filter(({ name }) => name === "mm_router_image_predictions"));
  const byWorker = Map.groupBy(samples, ({ labels }) => labels["worker_id"] ?? "");
  return Array.from(byWorker, ([workerId, own]) => {
    const sum = (verdict: string) => sumOf(own, "mm_router_image_predictions", { verdict });
    const imageDialect = own[0]?.labels["image_dialect"] ?? "";
    return { workerId, imageDialect, exact: sum("exact"), different: sum("different"), unseen: sum("unseen") };
  });
}

function textOf({ level, sentence, remedy }: Finding): string {
  const mark = { ok: "ok     ", note: "note   ", warning: "WARNING", error: "ERROR  " }[level];
  return `${mark} ${sentence}${remedy === undefined ? "" : `\n          → ${remedy}`}\n`;
}
