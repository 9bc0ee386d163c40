// A chat over HTTP as any client has it: the pieces of the answer as they come.
//
//   data: {"choices":[{"delta":{"content":"…"}}],…}   …   data: {"choices":[],"usage":{…}}   data: [DONE]

/** @typedef {{ readonly prompt_tokens: number, readonly completion_tokens: number, readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null }} Usage */

/**
 * @param {string} url
 * @param {object} request  without `stream`
 * @param {{ readonly signal: AbortSignal, readonly began: (requestId: string) => void, readonly text: (piece: string) => void }} to
 * @returns {Promise<Usage | undefined>}
 */
export async function streamChat(url, request, { signal, began, text }) {
  const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } });
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body, signal });
  began(answer.headers.get("x-request-id") ?? "");
  if (!answer.ok || answer.body === null) throw new Error(await errorText(answer));
  /** @type {Usage | undefined} */
  let usage;
  for await (const data of eventsOf(answer.body)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message ?? chunk.message ?? "the stream broke off");
    const delta = chunk.choices?.[0]?.delta;
    text((delta?.reasoning_content ?? "") + (delta?.content ?? ""));
    usage = chunk.usage ?? usage;
  }
  return usage;
}

/**
 * The data of server-sent events.
 *
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data: ")) yield line.slice(6);
  }
}

/** @param {Response} answer */
async function errorText(answer) {
  const text = await answer.text();
  try {
    const body = JSON.parse(text);
    return body.error?.message ?? body.message ?? text;
  } catch {
    return text || `status ${answer.status}`;
  }
}
