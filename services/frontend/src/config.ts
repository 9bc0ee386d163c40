// Settings of the frontend: upstream's names and defaults (Dynamo 1.6.1) where the meaning is upstream's, `MMR_…` where it is ours.
import { identityRules } from "@mm-router/kv";
import { indexField, kvIndexerFields } from "@mm-router/kv-indexer";
import { type ConfigOf, decimal, field, integer, port, runtimeFields, yesNo } from "@mm-router/runtime";
import { z } from "zod";
import { routerModes } from "./models/instance-choice.ts";

const optionalText = z.string().optional();
/** A route's path, moved. @param name as in DYN_HTTP_SVC_<name>_PATH */
const pathOf = (name: string, path: string) =>
  field(z.string().startsWith("/").default(path), { env: `DYN_HTTP_SVC_${name}_PATH`, help: `path instead of ${path}` });

export const frontendFields = {
  ...runtimeFields,
  httpHost: field(z.string().default("0.0.0.0"), { flag: "http-host", env: "DYN_HTTP_HOST", help: "address that HTTP is served on" }),
  httpPort: field(port.default(8000), { flag: "http-port", env: "DYN_HTTP_PORT", help: "port that HTTP is served on (0: any free one)" }),
  tlsCertPath: field(optionalText, {
    flag: "tls-cert-path",
    env: "DYN_TLS_CERT_PATH",
    help: "certificate (PEM): HTTPS instead of HTTP, with the key",
  }),
  tlsKeyPath: field(optionalText, { flag: "tls-key-path", env: "DYN_TLS_KEY_PATH", help: "key of the certificate (PEM)" }),
  page: field(z.enum(["admin", "http", "off"], "one of admin, http, off").default("admin"), {
    flag: "page",
    env: "MMR_PAGE",
    help: "where the page of what runs is: at / of the admin listener, at / of the HTTP port, or nowhere (off)",
  }),
  adminHost: field(z.string().default("127.0.0.1"), {
    flag: "admin-host",
    env: "MMR_ADMIN_HOST",
    help: "address of the admin listener; whoever reaches it sees what runs and may send chats, as on the HTTP port",
  }),
  adminPort: field(port.optional(), {
    flag: "admin-port",
    env: "MMR_ADMIN_PORT",
    help: "port of the admin listener (default: 8001, or any free one when that is taken)",
  }),
  namespace: field(optionalText, {
    flag: "namespace",
    env: "DYN_NAMESPACE",
    help: "serve the models of this namespace only (dynamo or nothing: all)",
  }),
  namespacePrefix: field(optionalText, {
    flag: "namespace-prefix",
    env: "DYN_NAMESPACE_PREFIX",
    help: "serve the models of all namespaces that begin so; wins over --namespace",
  }),
  routerMode: field(z.enum(routerModes, `one of ${routerModes.join(", ")}`).default("round-robin"), {
    flag: "router-mode",
    env: "DYN_ROUTER_MODE",
    help: `how a model's workers, or its mm-routers, are chosen: ${routerModes.join(", ")}`,
  }),
  overlapScoreCredit: field(decimal(0).default(1), {
    flag: "router-kv-overlap-score-credit",
    env: "DYN_ROUTER_KV_OVERLAP_SCORE_CREDIT",
    help: "kv: what a cached block is worth, in blocks",
  }),
  prefillLoadScale: field(decimal(0).default(1), {
    flag: "router-prefill-load-scale",
    env: "DYN_ROUTER_PREFILL_LOAD_SCALE",
    help: "kv: weight of tokens to prefill against blocks in use",
  }),
  temperature: field(decimal(0).default(0), {
    flag: "router-temperature",
    env: "DYN_ROUTER_TEMPERATURE",
    help: "kv: 0: always the cheapest worker; above: drawn by cost",
  }),
  index: indexField,
  ...kvIndexerFields,
  indexDeadlineMs: field(integer(1).default(100), {
    flag: "index-deadline-ms",
    env: "MMR_INDEX_DEADLINE_MS",
    unit: "milliseconds",
    help: "kv: how long the index may take; later the request is routed by load",
  }),
  sessionAffinityS: field(decimal(0).optional(), {
    flag: "router-session-affinity-ttl-secs",
    env: "DYN_ROUTER_SESSION_AFFINITY_TTL_SECS",
    unit: "seconds",
    help: "idle time for which a session (x-dynamo-session-id) stays at its worker (nothing: it does not)",
  }),
  sessionAffinityMode: field(z.enum(["hard", "soft"]).default("hard"), {
    flag: "router-session-affinity-mode",
    env: "DYN_ROUTER_SESSION_AFFINITY_MODE",
    help: "hard: a session's worker or none while it is there; soft: another one when it is too busy",
  }),
  modelPath: field(optionalText, {
    flag: "model-path",
    env: "DYN_MODEL_PATH",
    help: "folder with tokenizer and templates, for cards whose files are not on this machine",
  }),
  metricsPrefix: field(z.string().default("dynamo_frontend"), {
    flag: "metrics-prefix",
    env: "DYN_METRICS_PREFIX",
    help: "prefix of this service's metrics",
  }),

  reasoningField: field(z.string().regex(/^\w+$/).default("reasoning_content"), {
    flag: "reasoning-field-name",
    env: "DYN_REASONING_FIELD_NAME",
    help: "member of a chat answer that holds what the model thought",
  }),
  hideToolsForNone: field(yesNo.default(true), {
    flag: "exclude-tools-when-tool-choice-none",
    env: "DYN_EXCLUDE_TOOLS_WHEN_TOOL_CHOICE_NONE",
    help: "with tool_choice none the prompt has no tools; for models whose card does not say",
  }),
  anthropicApi: field(yesNo.default(false), {
    flag: "enable-anthropic-api",
    env: "DYN_ENABLE_ANTHROPIC_API",
    help: "serve Anthropic's API too: /v1/messages and its token count",
  }),
  migrationLimit: field(integer(0).default(0), {
    flag: "migration-limit",
    env: "DYN_MIGRATION_LIMIT",
    help: "how often a request whose worker dies goes on at another one (0: never)",
  }),
  migrationMaxSeqLen: field(integer(1).optional(), {
    flag: "migration-max-seq-len",
    env: "DYN_MIGRATION_MAX_SEQ_LEN",
    unit: "tokens",
    help: "longest sequence, prompt and answer, that does so (nothing: any)",
  }),
  activeDecodeBlocksThreshold: field(z.coerce.number().min(0).max(1).optional(), {
    flag: "active-decode-blocks-threshold",
    env: "DYN_ACTIVE_DECODE_BLOCKS_THRESHOLD",
    help: "share of its KV blocks in use from which a worker gets no more requests, 0 to 1 (nothing: never)",
  }),
  activePrefillTokensThreshold: field(integer(0).optional(), {
    flag: "active-prefill-tokens-threshold",
    env: "DYN_ACTIVE_PREFILL_TOKENS_THRESHOLD",
    unit: "tokens",
    help: "tokens being prefilled from which a worker gets no more requests (nothing: never)",
  }),
  activePrefillTokensThresholdFrac: field(z.coerce.number().min(0).optional(), {
    flag: "active-prefill-tokens-threshold-frac",
    env: "DYN_ACTIVE_PREFILL_TOKENS_THRESHOLD_FRAC",
    help: "the same as a multiple of the worker's largest batch",
  }),
  disableAdminApi: field(yesNo.default(false), { env: "DYN_DISABLE_FRONTEND_ADMIN_API", help: "do not serve /busy_threshold" }),
  earlyErrorMs: field(integer(0).default(0), {
    env: "DYN_HTTP_PRE_COMMIT_ERROR_PEEK_MS",
    unit: "ms",
    help: "how long a stream waits for its first item, so that an early error has a status of its own (0: not at all)",
  }),
  qualityHeader: field(yesNo.default(false), {
    flag: "quality-header",
    env: "MMR_QUALITY_HEADER",
    help: "answers say in x-mm-router-quality how sure their routing was; a stream's head waits for its first item",
  }),
  guidedToolStreaming: field(yesNo.default(true), {
    env: "DYN_ENABLE_GUIDED_TOOL_STREAMING",
    help: "stream the arguments of forced tool calls as they come, instead of the whole call at its end",
  }),
  toolDispatch: field(yesNo.default(false), {
    flag: "enable-streaming-tool-dispatch",
    env: "DYN_ENABLE_STREAMING_TOOL_DISPATCH",
    help: "an event of its own in chat streams for every tool call that is complete",
  }),
  reasoningDispatch: field(yesNo.default(false), {
    flag: "enable-streaming-reasoning-dispatch",
    env: "DYN_ENABLE_STREAMING_REASONING_DISPATCH",
    help: "an event of its own in chat streams when the model has ended a thought",
  }),
  chatPath: pathOf("CHAT", "/v1/chat/completions"),
  completionsPath: pathOf("CMP", "/v1/completions"),
  embeddingsPath: pathOf("EMB", "/v1/embeddings"),
  responsesPath: pathOf("RESPONSES", "/v1/responses"),
  messagesPath: pathOf("ANTHROPIC", "/v1/messages"),
  modelsPath: pathOf("MODELS", "/v1/models"),
  healthPath: pathOf("HEALTH", "/health"),
  livePath: pathOf("LIVE", "/live"),
  metricsPath: pathOf("METRICS", "/metrics"),
  clientStallS: field(decimal(1).default(300), {
    env: "MMR_CLIENT_STALL_SECS",
    unit: "seconds",
    help: "how long a client may take nothing of an answer that was sent, before its connection is cut",
  }),
  bodyMbMax: field(integer(1).default(45), { env: "DYN_HTTP_BODY_LIMIT_MB", unit: "MiB", help: "largest request body" }),
  drainS: field(decimal(0).default(5), {
    env: "DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS",
    unit: "seconds",
    help: "how long running answers may take after SIGTERM",
  }),
  backendStreamTimeoutS: field(decimal(0).default(0), {
    env: "DYN_HTTP_BACKEND_STREAM_TIMEOUT_SECS",
    unit: "seconds",
    help: "longest silence of a worker within an answer (0: none)",
  }),
  keepAliveMs: field(integer(0).default(0), {
    env: "DYN_HTTP_SSE_KEEP_ALIVE_INTERVAL_MS",
    unit: "milliseconds",
    help: "silence of a stream after which a comment is sent (0: never)",
  }),
  overloadStatus: field(integer(400, 599).default(529), { env: "DYN_HTTP_OVERLOAD_STATUS_CODE", help: "status when every worker is busy" }),
  ignoreUnsupported: field(yesNo.default(false), {
    env: "DYN_IGNORE_OPENAI_FE_UNSUPPORTED_FIELDS",
    help: "drop members that no request has, instead of refusing the request",
  }),
  forceUsage: field(yesNo.default(false), {
    env: "DYN_ENABLE_FORCE_INCLUDE_USAGE",
    help: "end every stream with its usage, asked for or not",
  }),
  contextWindow: field(integer(0).optional(), { env: "DYN_CONTEXT_WINDOW", unit: "tokens", help: "context window to show in /v1/models" }),
  maxOutputTokens: field(integer(0).optional(), {
    env: "DYN_MAX_OUTPUT_TOKENS",
    unit: "tokens",
    help: "output limit to show in /v1/models",
  }),
  metadataPrefix: field(z.string().toLowerCase().default("x-dynamo-meta-"), {
    env: "DYN_METADATA_HEADER",
    help: "prefix of the headers that go to the worker as metadata",
  }),
  disableNvext: field(yesNo.default(false), { env: "DYN_DISABLE_FRONTEND_NVEXT", help: "ignore nvext and the routing headers" }),
  listInternal: field(yesNo.default(false), { env: "MMR_LIST_INTERNAL", help: "list models whose names end in __internal" }),
  imageIdentity: field(z.enum(identityRules).default("content"), {
    flag: "image-identity",
    env: "MMR_IMAGE_IDENTITY",
    help: "what names a picture for the worker: content, of data: URLs, the rest left to mm-router; url where Dynamo frontends send requests to the same workers",
  }),
  imagesMax: field(integer(0).default(128), { env: "MMR_IMAGES_MAX", help: "most images in one request" }),
  dataUrlMbMax: field(integer(1).default(16), { env: "DYN_MM_MAX_DATA_URL_MB", unit: "MiB", help: "longest data: URL" }),
  allowInternalUrls: field(yesNo.default(false), {
    env: "DYN_MM_ALLOW_INTERNAL",
    help: "take image URLs that name a machine by address or as localhost",
  }),
  promptsMax: field(integer(1).default(256), {
    env: "MMR_PROMPTS_MAX",
    help: "most prompts in one completion request; each is a request to a worker",
  }),
};

export type FrontendConfig = ConfigOf<typeof frontendFields>;
