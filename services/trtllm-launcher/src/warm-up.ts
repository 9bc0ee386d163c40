// One small image to a new worker, sent straight to it.
//
// TensorRT-LLM decides at the first image of a process whether it can hash images; if that request is a user's and fails,
// all later events are without image keys. And a worker publishes nothing before its first answer (worker.md §1, multimodal.md §1).
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type InstanceId, parseJson, stringifyJson } from "@mm-router/protocol";
import type { EndpointClient } from "@mm-router/runtime";

/** 56 × 56 grey PNG: two Qwen patches a side, above every family's lower limit. */
const image =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAADgAAAA4CAAAAACN7WTCAAAAJElEQVR42u3LMQ0AAAwDoEqv9FpYdsNP+hRRFEVRFEVRFMWbAclXIFtsqkldAAAAAElFTkSuQmCC";

/** Token ids that make up an image in a prompt, from the model's config.json. */
export interface ImagePrompt {
  readonly tokenIds: readonly number[];
}

/** The shortest prompt with an image, or undefined for a model whose config.json does not name its image token. */
export async function imagePromptOf(modelFolder: string): Promise<ImagePrompt | undefined> {
  const config = parseJson(await readFile(join(modelFolder, "config.json"))) as Record<string, unknown>;
  const ids = ["vision_start_token_id", "image_token_id", "vision_end_token_id"].map((name) => config[name]);
  if (typeof ids[1] !== "number") return undefined;
  return { tokenIds: ids.filter((id) => typeof id === "number") };
}

/**
 * Sends the image and reads the answer to its end.
 *
 * @throws AppError of the request plane; the caller says it and goes on, the worker is up all the same
 */
export async function warmUp(
  client: EndpointClient,
  instanceId: InstanceId,
  prompt: ImagePrompt,
  modelName: string,
  signal: AbortSignal,
): Promise<void> {
  const body = stringifyJson({
    model: modelName,
    token_ids: prompt.tokenIds,
    multi_modal_data: { image_url: [{ Url: image }] },
    stop_conditions: { max_tokens: 1 },
    sampling_options: {},
    output_options: {},
    eos_token_ids: [],
    annotations: [],
    extra_args: { messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: image } }] }] }, // where ≤ 0.9 reads it
  });
  const stream = await client.direct(instanceId, { contextId: `warm-up-${randomUUID()}`, body: Buffer.from(body), signal });
  for await (const _batch of stream); // what it says does not matter, only that it said it
}
