// Workers that come and go, and workers that are too busy, as golden frontend lifecycle-1.6.1 saw them.
import { cardKey, encodeActiveLoad, encodeCardEntry, eventSubject, type InstanceId, type ModelCard } from "@mm-router/protocol";
import { EventPublisher, type Runtime } from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Answer, comparableAnswer } from "./replay/comparison.ts";
import { goldenCards } from "./replay/golden-models.ts";
import { send } from "./replay/http-client.ts";
import { Stack } from "./replay/stack.ts";

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly content_type: string | null;
  readonly body: string;
}
interface Scenes {
  readonly gating: Readonly<Record<"no_model" | "chat_only_model" | "both" | "after_workers_stopped", readonly Seen[]>>;
  readonly busy: Readonly<Record<"unary" | "stream" | "completions" | "responses" | "messages", Omit<Seen, "method" | "path">>> & {
    readonly raised_threshold: readonly Omit<Seen, "method" | "path">[];
  };
}
const { scenes } = golden<{ scenes: Scenes }>("frontend/lifecycle-1.6.1.json");

const model = "test/tok";
const messages = [{ role: "user", content: "script:default" }];
const bodies: Readonly<Record<string, object>> = {
  "/v1/chat/completions": { model, messages },
  "/v1/completions": { model, prompt: "script:default" },
  "/v1/responses": { model, input: "script:default" },
  "/v1/embeddings": { model, input: "script:default" },
  "/v1/messages": { model, max_tokens: 20, messages },
};

describe("a frontend", () => {
  let stack: Stack;
  let cards: ReadonlyMap<string, ModelCard>;

  beforeAll(async () => {
    stack = await Stack.start();
    cards = await goldenCards();
  });
  afterAll(() => stack[Symbol.asyncDispose]());

  const ask = (url: string, path: string, body?: object) =>
    send(url, {
      method: body === undefined ? "GET" : "POST",
      path,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });

  /** A process with one model, that answers with its own name. */
  async function startWorker(
    namespace: string,
    component: string,
    card: ModelCard,
  ): Promise<{ runtime: Runtime; id: InstanceId; stop(): Promise<void> }> {
    const runtime = await stack.runtime();
    const address = { namespace, component, endpoint: "generate" };
    const served = await runtime.endpoint(address).serve(async (_request, sink) => {
      await sink.item({ data: { token_ids: [9707], finish_reason: "stop" } });
    });
    const registration = await runtime.discovery.register((instanceId) => ({
      key: cardKey(address, instanceId),
      value: encodeCardEntry({ address, instanceId, card }),
    }));
    const stop = async () => {
      await registration.withdraw();
      await served.withdraw();
      await runtime.close();
    };
    return { runtime, id: served.instanceId, stop };
  }

  it("opens and closes its routes with the models, as 1.6.1 does", async () => {
    const namespace = `${stack.namespace}-gating`;
    const { url } = await stack.frontend(["--namespace", namespace, "--enable-anthropic-api"]);
    const listed = async () => ((await (await fetch(`${url}/v1/models`)).json()) as { data: object[] }).data.length;
    const untilListed = (count: number) => vi.waitFor(async () => expect(await listed()).toBe(count), { timeout: 30_000, interval: 20 });
    const shows = async (scene: keyof Scenes["gating"]) => {
      for (const seen of scenes.gating[scene].filter(({ path }) => path !== "/health")) {
        const ours = await ask(url, seen.path, seen.method === "POST" ? bodies[seen.path]! : undefined);
        expect(told(ours), `${scene} ${seen.path}`).toEqual(told(answerOf(seen)));
      }
    };
    await shows("no_model");
    const chatOnly = await startWorker(namespace, "chatonly", cards.get("chatonly")!);
    await untilListed(1);
    await shows("chat_only_model");
    const tok = await startWorker(namespace, "tok", cards.get("tok")!);
    await untilListed(2);
    await shows("both");
    await Promise.all([chatOnly.stop(), tok.stop()]);
    await untilListed(0);
    await shows("after_workers_stopped");

    /** Of an answer in full only its kind: the workers here say something else. */
    function told(answer: Answer): unknown {
      const { body, ...rest } = comparableAnswer(answer) as { body: Record<string, unknown> };
      if (answer.body?.includes('"usage"')) return rest;
      return { ...rest, body: typeof body === "object" && "namespaces" in body ? { ready: body["ready"] } : body };
    }
  });

  it("gives a busy worker nothing, refuses with 529 when all are, and minds a threshold at once", async () => {
    const namespace = `${stack.namespace}-busy`;
    const { url } = await stack.frontend(["--namespace", namespace, "--enable-anthropic-api", "--active-decode-blocks-threshold", "0.5"]);
    const card = { ...cards.get("tok")!, runtime_config: { total_kv_blocks: 100 } };
    const address = { namespace, component: "tok", endpoint: "generate" };
    const busy = await startWorker(namespace, "tok", card);
    await vi.waitFor(async () => expect((await ask(url, `/v1/models/${model}`)).status).toBe(200), { timeout: 30_000, interval: 20 });
    const subject = eventSubject("scoped", address, "kv_metrics");
    const publisher = new EventPublisher(await busy.runtime.nats(), { subject, topic: "kv_metrics", publisherId: 1n });
    const load = { worker_id: busy.id, dp_rank: 0, active_decode_blocks: null, active_prefill_tokens: null, kv_used_blocks: 90n };
    await vi.waitFor(
      async () => {
        publisher.publish(encodeActiveLoad(load)); // heard only once the frontend has subscribed
        expect((await ask(url, "/v1/chat/completions", bodies["/v1/chat/completions"])).status).toBe(529);
      },
      { timeout: 30_000, interval: 20 },
    );
    const requests = {
      unary: ["/v1/chat/completions", {}],
      stream: ["/v1/chat/completions", { stream: true }],
      completions: ["/v1/completions", {}],
      responses: ["/v1/responses", {}],
      messages: ["/v1/messages", {}],
    } as const;
    for (const [name, [path, more]] of Object.entries(requests)) {
      const answer = await ask(url, path, { ...bodies[path], ...more });
      expect(comparableAnswer(answer), name).toEqual(comparableAnswer(answerOf(scenes.busy[name as keyof typeof requests])));
      expect(answer.headers["retry-after"]).toBe("1");
    }
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(
      /model_rejection_total\{model="test\/tok",endpoint="anthropic_messages"\} 1/,
    );
    const raised = await ask(url, "/busy_threshold", { model, active_decode_blocks_threshold: 1 });
    expect(comparableAnswer(raised)).toEqual(comparableAnswer(answerOf(scenes.busy.raised_threshold[0]!)));
    expect((await ask(url, "/v1/chat/completions", bodies["/v1/chat/completions"])).status).toBe(200);
    await busy.stop();
  });

  function answerOf(seen: Omit<Seen, "method" | "path">): Answer {
    return { status: seen.status, headers: seen.content_type === null ? {} : { "content-type": seen.content_type }, body: seen.body };
  }
});
