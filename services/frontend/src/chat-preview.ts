// A chat up to the point where it would be sent: for tools that ask what becomes of a request without an HTTP server.
import { AppError, type CardEntry } from "@mm-router/protocol";
import { type EndpointClient, type ServiceDeps, systemClock } from "@mm-router/runtime";
import type { FrontendConfig } from "./config.ts";
import { chatTokenRequest } from "./http/chat-completions.ts";
import { parseJsonBody } from "./http/request-body.ts";
import { tokenRequestBody } from "./http/token-jobs.ts";
import { cardSum } from "./models/card-sum.ts";
import { EndpointWorkers } from "./models/endpoint-workers.ts";
import { WorkerSet } from "./models/worker-set.ts";
import { parseChatRequest } from "./preprocess/chat-request.ts";
import { requestHints } from "./preprocess/request-hints.ts";
import { validateChat } from "./preprocess/validation.ts";
import { requestRules, textLoader } from "./service.ts";

export interface ChatPreview {
  readonly entry: CardEntry;
  /** Body of the request to the worker. */
  readonly body: Buffer;
  /** The rendered prompt; undefined when the client sent token ids. */
  readonly prompt: string | undefined;
}

export interface PreviewDeps extends Pick<ServiceDeps, "log" | "signal" | "environment"> {
  /** The card of the model that a request names. @throws AppError when there is none */
  readonly cardOf: (model: string) => CardEntry;
  /** Of the card's endpoint; not called. */
  readonly clientOf: (entry: CardEntry) => EndpointClient;
}

/**
 * Makes the request that a frontend with this config would send to a worker.
 *
 * @param json a chat completion request as a client sends it
 * @throws AppError as the frontend would answer
 */
export async function previewChat(json: Buffer, config: FrontendConfig, deps: PreviewDeps): Promise<ChatPreview> {
  const rules = requestRules(config);
  const request = parseChatRequest(parseJsonBody(json));
  validateChat(request, rules.validation);
  const entry = deps.cardOf(request.members.model);
  const { address, card } = entry;
  if (card.model_input !== "Tokens")
    throw new AppError("configuration", `model \`${card.display_name}\` takes text: nothing is to be routed`);
  const text = await textLoader(config, deps)(card);
  const workers = new WorkerSet({
    name: card.display_name,
    address,
    card,
    sum: cardSum(card),
    text,
    endpoint: new EndpointWorkers({
      client: deps.clientOf(entry),
      mode: "round-robin",
      affinity: { ttlMs: undefined, mode: "hard" },
      setAsideMs: 0,
      clock: systemClock,
      random: Math.random,
    }),
    isBusy: () => false,
  });
  const hints = requestHints({}, request.members, rules.hints);
  const tokens = await chatTokenRequest(request, { hints, workers, text }, rules);
  const prompt = tokens.prompts[0]!; // a chat has one
  return { entry, body: tokenRequestBody(tokens, prompt), prompt: prompt.formatted };
}
