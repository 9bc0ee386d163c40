// A worker that never fails: tokens, chunks or vectors at once, as its model wants. What goes wrong before it is not its doing.
import { cardKey, decodeBody, encodeCardEntry } from "@mm-router/protocol";
import type { IncomingRequest, ResponseSink } from "@mm-router/runtime";
import { expect, vi } from "vitest";
import { goldenCards } from "../replay/golden-models.ts";
import type { Stack } from "../replay/stack.ts";

/** Serves all models of the recordings; resolves when the frontend lists them. */
export async function serveSteadily(stack: Stack, url: string): Promise<void> {
  const runtime = await stack.runtime();
  const cards = await goldenCards();
  for (const [component, card] of cards) {
    const address = { namespace: stack.namespace, component, endpoint: "generate" };
    await runtime.endpoint(address).serve((request, sink) => answer(component, request, sink));
    await runtime.discovery.register((instanceId) => ({
      key: cardKey(address, instanceId),
      value: encodeCardEntry({ address, instanceId, card }),
    }));
  }
  const listed = async () => ((await (await fetch(`${url}/v1/models`)).json()) as { data: unknown[] }).data.length;
  await vi.waitFor(async () => expect(await listed()).toBe(cards.size), { timeout: 150_000, interval: 100 });
}

async function answer(component: string, { codec, body }: IncomingRequest, sink: ResponseSink): Promise<void> {
  const request = decodeBody(codec, body) as Readonly<Record<string, unknown>>;
  if (component === "embed") return sink.item({ data: vectorsFor(request) });
  if (component === "text") return sink.item({ data: chunkFor(request) });
  await sink.item({ data: { token_ids: [9707, 11] } });
  await sink.item({ data: { token_ids: [1879], finish_reason: "stop" } });
}

/** One of each input. */
function vectorsFor(request: Readonly<Record<string, unknown>>): object {
  const inputs = request["token_ids"] as readonly unknown[];
  return { embeddings: inputs.map(() => [0.5, -0.25, 1]), prompt_tokens: 3, total_tokens: 3 };
}

function chunkFor(request: Readonly<Record<string, unknown>>): object {
  const common = { id: "w", created: 1, model: "m" };
  const choice = { index: 0, finish_reason: "stop" };
  if ("prompt" in request) return { ...common, object: "text_completion", choices: [{ ...choice, text: "Hello" }] };
  return { ...common, object: "chat.completion.chunk", choices: [{ ...choice, delta: { role: "assistant", content: "Hello" } }] };
}
