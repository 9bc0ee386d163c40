// What ./launch.sh is told, by environment as in upstream's two launch scripts, or by flag. Same meaning, same default.
import { type ConfigOf, field, integer, port, textList } from "@mm-router/runtime";
import { z } from "zod";

const optionalText = z.string().optional();

export const launchFields = {
  model: field(z.string().default("Qwen/Qwen2-VL-2B-Instruct"), {
    flag: "model",
    env: "MODEL",
    help: "local folder, else Hugging Face cache (HF_HOME), else hub; with simulated workers, without a hub, a folder made from a registry package",
  }),
  modelType: field(z.string().default("qwen2_vl"), { flag: "model-type", env: "MODEL_TYPE", help: "model type for counting image tokens" }),
  numWorkers: field(integer(1, 256).default(2), { flag: "workers", env: "NUM_WORKERS", help: "workers" }),
  numRouters: field(integer(1, 64).default(1), { flag: "routers", env: "NUM_ROUTERS", help: "mm-router replicas" }),
  blockSize: field(integer(1, 4096).default(32), { flag: "block-size", env: "BLOCK_SIZE", unit: "tokens", help: "KV block size" }),
  gpuId: field(optionalText, { flag: "gpu-id", env: "GPU_ID", help: "one GPU shared by all workers, its memory split" }),
  gpuIds: field(textList.optional(), { flag: "gpu-ids", env: "GPU_IDS", help: "GPUs, comma between them, one worker each (default: all)" }),
  httpPort: field(port.default(8000), { flag: "http-port", env: ["HTTP_PORT", "API_PORT"], help: "port of the OpenAI HTTP server" }),
  adminPort: field(port.optional(), {
    flag: "admin-port",
    env: "ADMIN_PORT",
    help: "port of the page, on this machine alone (default: 8001, or any free one when that is taken)",
  }),
  indexerPort: field(port.default(0), {
    flag: "indexer-port",
    env: "MMR_INDEXER_PORT",
    help: "port of the indexer's HTTP (0: any free one)",
  }),
  namespace: field(z.string().default("default"), { flag: "namespace", env: "NAMESPACE", help: "Dynamo namespace" }),
  component: field(z.string().default("trtllm"), { flag: "component", env: "COMPONENT", help: "the workers' Dynamo component" }),
  endpoint: field(z.string().default("generate"), { flag: "endpoint", env: "ENDPOINT", help: "the workers' Dynamo endpoint" }),
  dynamoHome: field(optionalText, {
    flag: "dynamo-home",
    env: "DYNAMO_HOME",
    help: "venv or checkout whose python -m dynamo.trtllm is used",
  }),
  requestPlane: field(z.enum(["nats", "tcp"]).default("nats"), {
    flag: "request-plane",
    env: "DYN_REQUEST_PLANE",
    help: "passed to every process",
  }),
  eventPlane: field(z.enum(["nats", "zmq"]).default("nats"), {
    flag: "event-plane",
    env: "DYN_EVENT_PLANE",
    help: "passed to every process",
  }),
  engine: field(z.enum(["auto", "trtllm", "simulated"]).default("auto"), {
    flag: "engine",
    env: "ENGINE",
    help: "trtllm: real workers; simulated: a stand-in without GPU that computes nothing; auto: trtllm where a GPU and dynamo.trtllm are there",
  }),
  imageDialect: field(z.enum(["auto", "none", "oov-s1", "pad", "in-vocab"]).default("auto"), {
    flag: "image-dialect",
    env: "MMR_IMAGE_DIALECT",
    help: "what stands for an image in the workers' blocks; auto takes it from each worker's card",
  }),
  readyTimeoutS: field(integer(1).default(600), {
    flag: "ready-timeout",
    env: "MMR_READY_TIMEOUT_SECS",
    unit: "seconds",
    help: "how long workers may load",
  }),
};

export type LaunchSettings = ConfigOf<typeof launchFields>;
