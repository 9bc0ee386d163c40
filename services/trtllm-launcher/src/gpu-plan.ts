// Which GPUs each worker sees.
//
//   GPU_IDS=0,1,2,3  --workers 2  group 2   →  worker 0: 0,1   worker 1: 2,3
//   GPU_ID=0         --workers 2  shared    →  both: 0, each with half of the memory fraction
//
// Pure. Without sharing a GPU belongs to one worker; the engine takes 0.9 of the free memory, so a second worker on the
// same GPU would fail (TRT-LLM default of --free-gpu-memory-fraction).
import { AppError } from "@mm-router/protocol";

/** What one worker takes of a GPU when it has it alone: TRT-LLM's default. */
const memoryFractionAlone = 0.9;

export interface GpuPlanInput {
  /** GPU ids in the order given (CUDA_VISIBLE_DEVICES or --gpus). */
  readonly gpuIds: readonly string[];
  readonly workers: number;
  /** GPUs of one worker: tensor × pipeline parallel size. */
  readonly groupSize: number;
  /** All workers on the first group. */
  readonly shared: boolean;
}

export interface WorkerGpus {
  /** For CUDA_VISIBLE_DEVICES. */
  readonly gpuIds: readonly string[];
  /** For --free-gpu-memory-fraction; undefined: the engine's own default. */
  readonly memoryFraction?: number;
}

/**
 * Assigns GPUs to workers, in order.
 *
 * @returns one entry per worker
 * @throws AppError `configuration` when there are too few GPUs; the sentence names the ways out
 */
export function planGpus({ gpuIds, workers, groupSize, shared }: GpuPlanInput): readonly WorkerGpus[] {
  const needed = shared ? groupSize : workers * groupSize;
  if (gpuIds.length < needed) {
    const each = groupSize === 1 ? "" : ` of ${groupSize} GPUs each`;
    throw new AppError(
      "configuration",
      `${workers} workers${each} need ${needed} GPUs and ${gpuIds.length} are there (${gpuIds.join(",") || "none"}): lower NUM_WORKERS, name more GPUs in GPU_IDS, or share one with GPU_ID`,
    );
  }
  return Array.from({ length: workers }, (_, worker) => {
    const first = shared ? 0 : worker * groupSize;
    const group = { gpuIds: gpuIds.slice(first, first + groupSize) };
    return shared && workers > 1 ? { ...group, memoryFraction: shareOf(workers) } : group;
  });
}

/** Rounded down, so that all shares together never exceed what one worker would take. */
function shareOf(workers: number): number {
  return Math.floor((memoryFractionAlone / workers) * 1000) / 1000;
}
