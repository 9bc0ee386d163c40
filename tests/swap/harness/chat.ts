// Chat requests over HTTP, as any OpenAI client sends them.
export interface ChatAnswer {
  readonly status: number;
  readonly text: string;
  readonly finishReason: string | null;
  readonly usage: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details?: { cached_tokens?: number } | null;
  };
}

export interface ChatOptions {
  readonly maxTokens?: number;
  readonly signal?: AbortSignal;
}

export type ChatContent = string | readonly ({ type: "text"; text: string } | { type: "image_url"; image_url: { url: string } })[];

/** Asks once, not streamed. */
export function chat(url: string, model: string, content: ChatContent, options: ChatOptions = {}): Promise<ChatAnswer> {
  return converse(url, model, [{ role: "user", content }], options);
}

/** The same with several messages. */
export async function converse(url: string, model: string, messages: readonly object[], options: ChatOptions = {}): Promise<ChatAnswer> {
  const response = await post(url, { model, max_tokens: options.maxTokens ?? maxTokensDefault, messages, stream: false }, options);
  const body = (await response.json()) as {
    choices?: { message: { content: string }; finish_reason: string }[];
    usage: ChatAnswer["usage"];
  };
  const choice = body.choices?.[0];
  if (choice === undefined) throw new Error(`${response.status} ${JSON.stringify(body)}`);
  return { status: response.status, text: choice.message.content, finishReason: choice.finish_reason, usage: body.usage };
}

/** Asks for a stream and folds it. */
export async function chatStreamed(
  url: string,
  model: string,
  content: ChatContent,
  options: ChatOptions = {},
): Promise<ChatAnswer & { readonly chunks: number }> {
  const response = await post(url, { ...bodyOf(model, content, options), stream: true, stream_options: { include_usage: true } }, options);
  const events = (await response.text()).split("\n\n").filter((event) => event.startsWith("data: ") && !event.includes("[DONE]"));
  const chunks = events.map((event) => JSON.parse(event.slice("data: ".length)) as Chunk);
  const choices = chunks.flatMap((chunk) => chunk.choices ?? []);
  const usage = chunks.findLast((chunk) => chunk.usage)?.usage;
  if (usage === undefined || usage === null) throw new Error(`no usage in ${chunks.length} chunks: ${JSON.stringify(chunks.at(-1))}`);
  return {
    status: response.status,
    text: choices.map(({ delta }) => delta.content ?? "").join(""),
    finishReason: choices.findLast((choice) => choice.finish_reason)?.finish_reason ?? null,
    usage,
    chunks: choices.filter(({ delta }) => delta.content).length,
  };
}

/** The first event of a stream that is no data, asked for by an annotation; undefined when data comes first. */
export async function annotated(url: string, model: string, content: ChatContent, annotation: string): Promise<string | undefined> {
  const response = await post(url, { ...bodyOf(model, content, {}), stream: true, nvext: { annotations: [annotation] } }, {});
  const [first] = (await response.text()).split("\n\n");
  return first?.startsWith("data: ") ? undefined : first;
}

interface Chunk {
  readonly choices?: readonly { readonly delta: { readonly content?: string | null }; readonly finish_reason?: string | null }[];
  readonly usage?: ChatAnswer["usage"] | null;
}

const maxTokensDefault = 8;

function bodyOf(model: string, content: ChatContent, { maxTokens = maxTokensDefault }: ChatOptions): object {
  return { model, max_tokens: maxTokens, messages: [{ role: "user", content }] };
}

function post(url: string, body: object, { signal }: ChatOptions): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: signal ?? AbortSignal.timeout(30_000),
  });
}
