// Settings of the launcher. Names and defaults of upstream's two launch scripts where they have them (product.md §1.1, §2).
import { type ConfigOf, decimal, field, integer, runtimeFields, textList, yesNo } from "@mm-router/runtime";
import { z } from "zod";

export const launcherFields = {
  ...runtimeFields,
  model: field(z.string().default("Qwen/Qwen2-VL-2B-Instruct"), {
    flag: ["model", "model-path"],
    env: "MODEL",
    help: "model folder or Hugging Face id",
  }),
  servedModelName: field(z.string().optional(), {
    flag: "served-model-name",
    env: "MMR_WORKER_MODEL_NAME",
    help: "name under which the workers register (default: MODEL__internal, so that mm-router owns the public name)",
  }),
  workers: field(integer(1, 256).default(2), { flag: "workers", env: "NUM_WORKERS", help: "number of workers" }),
  gpuIds: field(textList.optional(), {
    flag: "gpus",
    env: ["GPU_IDS", "CUDA_VISIBLE_DEVICES"],
    help: "GPU ids, comma between them; each worker gets its own group of tensor × pipeline parallel size (default: all that nvidia-smi lists)",
  }),
  sharedGpu: field(z.string().optional(), {
    flag: "shared-gpu",
    env: "GPU_ID",
    help: "one GPU for all workers, its memory split between them",
  }),
  engine: field(z.enum(["auto", "trtllm", "simulated"]).default("auto"), {
    flag: "engine",
    env: "ENGINE",
    help: "trtllm: real workers; simulated: a stand-in that speaks the protocol and computes nothing; auto: trtllm where a GPU and dynamo.trtllm are there",
  }),
  blockSize: field(integer(1, 4096).default(32), {
    flag: ["block-size", "kv-block-size"],
    env: "BLOCK_SIZE",
    unit: "tokens",
    help: "KV block size",
  }),
  namespace: field(z.string().default("default"), {
    flag: "namespace",
    env: ["NAMESPACE", "DYN_NAMESPACE"],
    help: "Dynamo namespace of the workers",
  }),
  component: field(z.string().default("trtllm"), { flag: "component", env: "COMPONENT", help: "Dynamo component of the workers" }),
  endpoint: field(z.string().default("generate"), {
    flag: "endpoint",
    env: "ENDPOINT",
    help: "endpoint name, or a whole dyn://namespace.component.endpoint",
  }),
  dynamoHome: field(z.string().optional(), {
    flag: "dynamo-home",
    env: "DYNAMO_HOME",
    help: "venv or checkout whose python -m dynamo.trtllm is used",
  }),
  tensorParallelSize: field(integer(1, 1024).default(1), {
    flag: "tensor-parallel-size",
    help: "GPUs per worker, times the pipeline size",
  }),
  pipelineParallelSize: field(integer(1, 1024).default(1), { flag: "pipeline-parallel-size", help: "pipeline stages per worker" }),
  warmUp: field(yesNo.default(true), {
    flag: "warm-up",
    env: "MMR_WARM_UP",
    help: "send each new worker one small image: the engine decides at its first image whether it can name images in events, and publishes nothing before its first answer",
  }),
  readyTimeoutS: field(decimal(1).default(600), {
    flag: "ready-timeout",
    env: "MMR_READY_TIMEOUT_SECS",
    unit: "seconds",
    help: "how long a worker may load",
  }),
  logDirectory: field(z.string().optional(), {
    flag: "log-directory",
    env: "MMR_LOG_DIRECTORY",
    help: "also write each worker's output to a file there",
  }),
  shutdownDeadlineS: field(decimal(0).default(60), {
    env: "MMR_SHUTDOWN_DEADLINE_SECS",
    unit: "seconds",
    help: "how long a stop may take in all; a prefill worker drains for 35 s, then 10 s remain until it is killed",
  }),
};

export type LauncherConfig = ConfigOf<typeof launcherFields>;
