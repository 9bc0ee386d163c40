// What this service answers, as an OpenAPI 3.1 description: GET /openapi.json, and what /docs/ shows.
//
// Members of requests are those that decide something here; what the shapes refuse in detail is theirs to say.
// Source: OpenAPI 3.1; routes as Dynamo 1.6.1 names them (golden frontend openapi.json), those that are not served left out.
import type { ServedPaths } from "./served-paths.ts";

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: "string" };
const yesNo: Schema = { type: "boolean" };
const integer = (minimum: number, maximum?: number): Schema => ({ type: "integer", minimum, ...(maximum !== undefined && { maximum }) });
const number = (minimum: number, maximum: number): Schema => ({ type: "number", minimum, maximum });
const list = (items: Schema): Schema => ({ type: "array", items });
const oneOf = (...options: Schema[]): Schema => ({ anyOf: options });
const object: Schema = { type: "object" };

function body(required: readonly string[], properties: Readonly<Record<string, Schema>>): Schema {
  return { type: "object", required, properties };
}

const sampling = {
  stream: yesNo,
  temperature: number(0, 2),
  top_p: { type: "number", exclusiveMinimum: 0, maximum: 1 },
  top_k: integer(-1),
  min_p: number(0, 1),
  n: integer(1, 128),
  seed: { type: "integer" },
  stop: oneOf(text, { type: "array", items: text, minItems: 1, maxItems: 32 }),
  max_tokens: integer(1, 1_048_576),
  frequency_penalty: number(-2, 2),
  presence_penalty: number(-2, 2),
  repetition_penalty: { type: "number", exclusiveMinimum: 0, maximum: 2 },
  nvext: object,
};
const message = body(["role"], { role: { enum: ["developer", "system", "user", "assistant", "tool", "function"] } });
const chat = body(["model", "messages"], {
  model: text,
  messages: { type: "array", items: message, minItems: 1 },
  ...sampling,
  max_completion_tokens: integer(1, 1_048_576),
  logprobs: yesNo,
  top_logprobs: integer(0, 20),
  tools: { type: "array", items: object, minItems: 1 },
  tool_choice: oneOf({ enum: ["none", "auto", "required"] }, object),
  response_format: object,
  reasoning_effort: { enum: ["none", "minimal", "low", "medium", "high", "xhigh", "max"] },
  chat_template_kwargs: object,
});
const tokens = list(integer(0));
const completion = body(["model", "prompt"], {
  model: text,
  prompt: oneOf(text, list(text), tokens, list(tokens)),
  ...sampling,
  logprobs: integer(0, 5),
});
const embedding = body(["model", "input"], {
  model: text,
  input: oneOf(text, list(text), tokens, list(tokens)),
  encoding_format: { enum: ["float", "base64"] },
});
const response = body(["model", "input"], {
  model: text,
  input: oneOf(text, list(object)),
  instructions: text,
  stream: yesNo,
  max_output_tokens: integer(1),
  tools: list(object),
});
const anthropicPrompt = {
  model: text,
  messages: { type: "array", items: object, minItems: 1 },
  system: oneOf(text, list(object)),
  tools: list(object),
};
const anthropic = body(["model", "messages", "max_tokens"], { ...anthropicPrompt, max_tokens: integer(1), stream: yesNo });
const busy = body(["model"], {
  model: text,
  active_decode_blocks_threshold: number(0, 1),
  active_prefill_tokens_threshold: integer(0),
  active_prefill_tokens_threshold_frac: { type: "number", minimum: 0 },
});

const inferenceStatuses = {
  200: "Successful response",
  400: "Bad request - invalid input",
  404: "Model not found",
  500: "The worker failed",
  503: "Service unavailable",
  529: "Service overloaded",
};
const readStatuses = { 200: "Successful response" };

export interface Operation {
  readonly summary: string;
  readonly operationId: string;
  readonly requestBody?: object;
  readonly parameters?: readonly object[];
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
}

export interface ApiDescription {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export interface ApiFacts {
  readonly version: string;
  readonly paths: ServedPaths;
  readonly anthropicApi: boolean;
  readonly adminApi: boolean;
}

/** What is served under these settings. */
export function openApi({ version, paths, anthropicApi, adminApi }: ApiFacts): ApiDescription {
  return {
    openapi: "3.1.0",
    info: { title: "mm-router frontend", version, description: "OpenAI-compatible HTTP API in front of Dynamo workers." },
    paths: {
      [paths.chat]: { post: asking("Create chat completion", "post_v1_chat_completions", chat) },
      [paths.completions]: { post: asking("Create text completion", "post_v1_completions", completion) },
      [paths.embeddings]: { post: asking("Create embeddings", "post_v1_embeddings", embedding) },
      [paths.responses]: { post: asking("Create response", "post_v1_responses", response) },
      [`${paths.responses}/input_tokens`]: {
        post: asking("Count the tokens of a response's prompt", "post_v1_responses_input_tokens", response),
      },
      ...(anthropicApi && anthropicPaths(paths.messages)),
      [paths.models]: { get: reading("List models", "get_v1_models") },
      [`${paths.models}/{model_id}`]: {
        get: reading("Get one model", "get_v1_models_model_id", { 404: "Model not found", 503: "Not ready" }),
      },
      [`${paths.models}/{model_id}/ready`]: {
        get: reading("Whether it can be asked", "get_v1_models_model_id_ready", { 404: "Model not found", 503: "Not ready" }),
      },
      [paths.health]: { get: reading("Instances that are registered", "get_health", { 503: "Draining" }) },
      [paths.live]: { get: reading("Whether this process lives", "get_live", { 503: "Shutting down" }) },
      [paths.metrics]: { get: reading("Prometheus metrics", "get_metrics") },
      ...(adminApi && { "/busy_threshold": busyPath }),
    },
  };
}

function anthropicPaths(path: string): ApiDescription["paths"] {
  const counted = body(["model", "messages"], anthropicPrompt);
  return {
    [path]: { post: asking("Create message", "post_v1_messages", anthropic) },
    [`${path}/count_tokens`]: { post: asking("Count the tokens of a message's prompt", "post_v1_messages_count_tokens", counted) },
  };
}

const busyPath = {
  get: reading("From which load on workers get nothing more", "get_busy_threshold"),
  post: {
    summary: "Read or set the thresholds of one model",
    operationId: "post_busy_threshold",
    requestBody: jsonBody(busy),
    responses: statuses({ 200: "Thresholds", 400: "Out of range", 404: "Model not found", 422: "Bad shape" }),
  },
};

function asking(summary: string, operationId: string, schema: Schema): Operation {
  return { summary, operationId, requestBody: jsonBody(schema), responses: statuses(inferenceStatuses) };
}

function reading(summary: string, operationId: string, more: Readonly<Record<number, string>> = {}): Operation {
  const name = { name: "model_id", in: "path", required: true, schema: text };
  return {
    summary,
    operationId,
    ...(operationId.includes("model_id") && { parameters: [name] }),
    responses: statuses({ ...readStatuses, ...more }),
  };
}

function jsonBody(schema: Schema): object {
  return { required: true, content: { "application/json": { schema } } };
}

function statuses(sentences: Readonly<Record<number, string>>): Operation["responses"] {
  return Object.fromEntries(Object.entries(sentences).map(([status, description]) => [status, { description }]));
}
