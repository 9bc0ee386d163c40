// The command line and environment of one worker, for the release that is installed.
//
// Pure; snapshot-tested per release. Facts that differ between releases come from the dialect table.
// Source: `python -m dynamo.trtllm --help` of Dynamo 0.9.1 … 1.6.1 (spec: worker.md §2).
import type { Dialect, EndpointAddress } from "@mm-router/protocol";
import type { WorkerGpus } from "./gpu-plan.ts";

export interface WorkerCommandInput {
  readonly dialect: Dialect;
  readonly python: string;
  /** Folder or hub id. */
  readonly model: string;
  readonly servedModelName: string;
  readonly address: EndpointAddress;
  /** Tokens per KV block. */
  readonly blockSize: number;
  readonly gpus: WorkerGpus;
  /** Status port of this worker; the same over restarts. */
  readonly systemPort: number;
  /** Given by the user after `--`; last, so that they win. */
  readonly passThrough: readonly string[];
  /** What every child gets: planes, NATS, etcd, and the launcher's own environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface WorkerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What starts one `dynamo.trtllm` worker. */
export function workerCommand(input: WorkerCommandInput): WorkerCommand {
  const { address, dialect, gpus } = input;
  const args = [
    ["-m", "dynamo.trtllm"],
    ["--model-path", input.model],
    ["--served-model-name", input.servedModelName],
    ["--endpoint", `dyn://${address.namespace}.${address.component}.${address.endpoint}`],
    ["--kv-block-size", String(input.blockSize)],
    dialect.publishFlags,
    has(input.passThrough, "--modality", "--enable-multimodal") ? [] : ["--modality", "multimodal"],
    has(input.passThrough, "--gpus-per-node") ? [] : ["--gpus-per-node", String(gpus.gpuIds.length)],
    gpus.memoryFraction === undefined || has(input.passThrough, "--free-gpu-memory-fraction")
      ? []
      : ["--free-gpu-memory-fraction", String(gpus.memoryFraction)],
    input.passThrough,
  ].flat();
  return {
    command: input.python,
    args,
    environment: {
      ...input.environment,
      DYN_NAMESPACE: address.namespace,
      DYN_SYSTEM_PORT: String(input.systemPort),
      // ≤ 1.2 report the endpoint's own readiness under /health only when told to; later ones do by themselves.
      ...(dialect.endpointHealthIsOptIn && { DYN_SYSTEM_ENABLED: "true", DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS: '["generate"]' }),
      CUDA_VISIBLE_DEVICES: gpus.gpuIds.join(","),
      PYTHONUNBUFFERED: "1",
    },
  };
}

/** True when one of the flags stands in `args`, as `--flag value` or `--flag=value`. */
export function has(args: readonly string[], ...flags: readonly string[]): boolean {
  return args.some((argument) => flags.some((flag) => argument === flag || argument.startsWith(`${flag}=`)));
}

/** The value of a flag given as `--flag value` or `--flag=value`; the last one counts, as in argparse. */
export function valueOf(args: readonly string[], flag: string): string | undefined {
  let value: string | undefined;
  args.forEach((argument, at) => {
    if (argument === flag) value = args[at + 1];
    else if (argument.startsWith(`${flag}=`)) value = argument.slice(flag.length + 1);
  });
  return value;
}
