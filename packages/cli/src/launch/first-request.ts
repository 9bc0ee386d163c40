// The first request through the chain, sent by launch.sh itself: what it prints afterwards is known to work.
import { AppError } from "@mm-router/protocol";

const timeoutMs = 120_000; // a cold engine compiles kernels on its first request

/** A chess board of 280 × 280 pixels, one bit each: 100 tokens for a Qwen model, so that whole blocks of it can be found again. */
export const sampleImage =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAARgAAAEYAQAAAACv9dQhAAAASklEQVR42u3WIQ4AMAgDwP7/01sIepMYrqoJ52lSOZVnC8MwDDNv/uduDMMwzLzxvxiGYexnhmEYxn5mGIaxnxmGYRj7mWEYZo25kBiuT6Esxa4AAAAASUVORK5CYII=";

/** Sends one short chat and returns the answer's text. */
export async function sendFirstRequest(url: string, model: string, signal: AbortSignal): Promise<string> {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }], max_tokens: 8 }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  const body = await answer.text();
  if (!answer.ok)
    throw new AppError("dependency_unreachable", `the first request was answered with ${answer.status}: ${body.slice(0, 500)}`);
  const { choices } = JSON.parse(body) as { choices: { message: { content: string | null } }[] };
  return choices[0]?.message.content ?? "";
}

/** curl lines that work with the stack as it runs. */
export function curlLines(url: string, model: string): { text: string; image: string } {
  const line = (content: unknown): string =>
    `curl ${url}/v1/chat/completions -H 'content-type: application/json' -d '${JSON.stringify({ model, max_tokens: 32, messages: [{ role: "user", content }] })}'`;
  return {
    text: line("Why is the sky blue?"),
    image: line([
      { type: "text", text: "What is in this picture?" },
      { type: "image_url", image_url: { url: sampleImage } },
    ]),
  };
}
