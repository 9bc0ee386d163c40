// Predicted against published: what a running mm-router says about a request, and what real workers then say that they hold.
//
//   messages ─ template, tokenizer ─► request ─┬─► explain ─► block hashes, per kind of worker
//                                              └─► generate ─► worker ─► events ─► index ─► paths of block hashes, per worker
import { explainEndpoint, decodeExplanation, type Explanation } from "@mm-router/mm-router";
import { readTextModel, renderChat, type TextModel } from "@mm-router/frontend";
import type { Cluster, OurService } from "@mm-router/testkit";
import type { Runtime } from "@mm-router/runtime";
import type { Message, Part } from "./conversations.ts";
import { callInstance, type CallOutcome } from "./our-client.ts";

export interface ProofStack {
  readonly system: Cluster;
  readonly runtime: Runtime;
  readonly text: TextModel;
}

export const textModelOf = (system: Cluster): Promise<TextModel> => readTextModel(system.model);

/** A request as a frontend sends it, with the images as references. */
export interface ImageRequest {
  readonly token_ids: readonly number[];
  readonly multi_modal_data: { readonly image_url: readonly { readonly Url: string }[] };
  readonly [member: string]: unknown;
}

export interface RequestOptions {
  readonly maxTokens?: number;
  /** Names of the images, as a Dynamo frontend ≥ 1.4 gives them. */
  readonly names?: readonly string[] | undefined;
}

export async function requestOf(messages: readonly Message[], text: TextModel, options: RequestOptions = {}): Promise<ImageRequest> {
  const { maxTokens = 4, names } = options;
  const { tokenIds } = await renderChat(JSON.stringify({ model: "m", messages: messages.map(withoutPictures) }), text);
  return {
    model: "model",
    token_ids: [...tokenIds],
    multi_modal_data: { image_url: picturesOf(messages).map((Url) => ({ Url })) },
    stop_conditions: { max_tokens: maxTokens, ignore_eos: true },
    sampling_options: { temperature: 0 },
    output_options: {},
    eos_token_ids: [],
    annotations: [],
    extra_args: { messages, ...(names && { mm_hashes: names }) },
  };
}

export function picturesOf(messages: readonly Message[]): string[] {
  return messages.flatMap(({ content }) => partsOf(content).flatMap((part) => (part.type === "image_url" ? [part.image_url.url] : [])));
}

/** The template prints a placeholder whatever the URL; a short one keeps rendering quick. */
function withoutPictures(message: Message): object {
  const { content } = message;
  if (typeof content === "string") return message;
  return {
    ...message,
    content: content.map((part) => (part.type === "text" ? part : { type: "image_url", image_url: { url: "https://a/b" } })),
  };
}

const partsOf = (content: Message["content"]): readonly Part[] => (typeof content === "string" ? [] : content);

export async function explain(
  { system, runtime }: ProofStack,
  request: ImageRequest,
  { instanceId }: Pick<OurService, "instanceId"> = system.routers[0]!,
  component = "mm_router",
): Promise<Explanation> {
  const { items, error } = await callInstance(runtime, system.place, { component, endpoint: explainEndpoint, instanceId }, request);
  if (error !== undefined) throw error;
  return decodeExplanation(items[0]);
}

export function generate(
  { system, runtime }: ProofStack,
  request: ImageRequest,
  { instanceId }: Pick<OurService, "instanceId"> = system.routers[0]!,
  component = "mm_router",
): Promise<CallOutcome> {
  return callInstance(runtime, system.place, { component, instanceId }, request);
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null;
}

/** @throws the error that ended the stream */
export function usageOf({ items, error }: CallOutcome): Usage {
  if (error !== undefined) throw error;
  const usage = (items.at(-1) as { completion_usage?: Usage } | undefined)?.completion_usage;
  if (usage === undefined) throw new Error(`no usage in the last of ${items.length} items: ${JSON.stringify(items.at(-1))}`);
  return usage;
}

/** Block hashes as a path of the index. */
export const pathOf = (hashes: readonly string[]): string => hashes.map((hash) => `/${hash}`).join("");

/** Workers whose published blocks have all of the path, or its longest part that anybody has. */
export function holdersOf(published: ReadonlyMap<bigint, ReadonlySet<string>>, hashes: readonly string[]): bigint[] {
  return [...published].flatMap(([worker, paths]) => (hashes.length > 0 && paths.has(pathOf(hashes)) ? [worker] : []));
}

/** Leading blocks of these that a worker holds. */
export function blocksHeld(paths: ReadonlySet<string>, hashes: readonly string[]): number {
  const firstMissing = hashes.findIndex((_, at) => !paths.has(pathOf(hashes.slice(0, at + 1))));
  return firstMissing < 0 ? hashes.length : firstMissing;
}
