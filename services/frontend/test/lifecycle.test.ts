// Workers that come, go, die and refuse, and a frontend that stops, over real NATS and etcd.
import { createServer } from "node:http";
import { AppError, cardKey, encodeCardEntry, type ModelCard } from "@mm-router/protocol";
import { type Handler, type Runtime, StreamAborted } from "@mm-router/runtime";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Frontend } from "../src/index.ts";
import { Stack } from "./replay/stack.ts";

const textCard = (name: string, changes: Partial<ModelCard> = {}): ModelCard => ({
  display_name: name,
  slug: "m",
  kv_cache_block_size: 16,
  migration_limit: 0,
  context_length: 64,
  model_type: "Chat",
  model_input: "Text",
  ...changes,
});

const chunk = (content: string, finish: string | null) => ({
  data: {
    id: "w",
    object: "chat.completion.chunk",
    created: 1,
    model: "m",
    choices: [{ index: 0, delta: { content }, finish_reason: finish }],
  },
});
const says =
  (text: string): Handler =>
  async (_request, sink) => {
    await sink.item(chunk(text, "stop"));
  };

/** One worker process: a lease, an endpoint, a card. */
interface Worker {
  readonly runtime: Runtime;
  /** As SIGTERM: first the instance, then the card. */
  stop(): Promise<void>;
}

describe("a frontend", () => {
  let stack: Stack;
  let frontend: Frontend & { readonly url: string };

  beforeAll(async () => {
    stack = await Stack.start();
  });
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
  });
  let component = 0;
  beforeEach(async () => {
    component++;
    frontend = await stack.frontend(["--namespace", `${stack.namespace}-${component}`]);
  });
  afterEach(() => frontend.close());

  async function startWorker(handler: Handler, card = textCard("m"), environment: Record<string, string> = {}): Promise<Worker> {
    const runtime = await stack.runtime(environment);
    const address = { namespace: `${stack.namespace}-${component}`, component: "c", endpoint: "generate" };
    const served = await runtime.endpoint(address).serve(handler);
    const registration = await runtime.discovery.register((instanceId) => ({
      key: cardKey(address, instanceId),
      value: encodeCardEntry({ address, instanceId, card }),
    }));
    return {
      runtime,
      stop: async () => {
        await served.withdraw();
        await registration.withdraw();
        await runtime.close();
      },
    };
  }

  const chat = (more: object = {}) =>
    fetch(`${frontend.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "hi" }], ...more }),
      headers: { "content-type": "application/json" },
    });
  const contentOf = async (response: Response) =>
    ((await response.json()) as { choices: { message: { content: string } }[] }).choices[0]!.message.content;
  const listed = async () =>
    ((await (await fetch(`${frontend.url}/v1/models`)).json()) as { data: { id: string }[] }).data.map(({ id }) => id);
  const untilListed = (names: string[]) => vi.waitFor(async () => expect(await listed()).toEqual(names), { timeout: 30_000, interval: 20 });

  it("opens a route with its first model and closes it with the last one", async () => {
    expect([(await chat()).status, await listed()]).toEqual([404, []]);
    const worker = await startWorker(says("a"));
    await untilListed(["m"]);
    expect(await contentOf(await chat())).toBe("a");
    await worker.stop();
    await vi.waitFor(async () => expect(await (await chat()).text()).toBe(""), { timeout: 30_000, interval: 20 });
  });

  it.each(["nats", "tcp"])("calls workers on the %s plane", async (plane) => {
    await startWorker(says(plane), textCard("m"), { DYN_REQUEST_PLANE: plane });
    await untilListed(["m"]);
    expect(await contentOf(await chat())).toBe(plane);
  });

  it("gives each request to the next worker, and after one has died only to the other", async () => {
    const dies: Handler = async (request, sink) => {
      if (!request.body.includes('"stream":true')) return sink.item(chunk("b", "stop"));
      await sink.item(chunk("b", null));
      throw new StreamAborted("killed");
    };
    const [a, b] = [await startWorker(says("a")), await startWorker(dies)];
    await vi.waitFor(async () => expect(await (await fetch(`${frontend.url}/v1/models/m/ready`)).text()).toContain('"workers":2'), {
      timeout: 30_000,
      interval: 20,
    });
    const order = a.runtime.discovery.instanceId < b.runtime.discovery.instanceId ? ["a", "b"] : ["b", "a"];
    const answers = [];
    for (let n = 0; n < 4; n++) answers.push(await contentOf(await chat()));
    expect(answers).toEqual([...order, ...order]);
    const streams = [await (await chat({ stream: true })).text(), await (await chat({ stream: true })).text()];
    expect(streams.filter((events) => events.includes('"code":503'))).toHaveLength(1);
    for (let n = 0; n < 3; n++) expect(await contentOf(await chat())).toBe("a");
  });

  it("passes a request on when nobody listens under an id that still stands", async () => {
    const [, gone] = [await startWorker(says("a")), await startWorker(says("b"))];
    await vi.waitFor(async () => expect(await (await fetch(`${frontend.url}/v1/models/m/ready`)).text()).toContain('"workers":2'), {
      timeout: 30_000,
      interval: 20,
    });
    await (await gone.runtime.nats()).close(); // its lease lives on, as after kill -9
    for (let n = 0; n < 4; n++) expect(await contentOf(await chat())).toBe("a");
  });

  it("asks the only worker again after it broke a stream: a router has other workers behind it", async () => {
    let calls = 0;
    await startWorker(async (request, sink) => {
      if (calls++ === 0) throw new StreamAborted("the worker behind was killed");
      await says("a")(request, sink);
    });
    await untilListed(["m"]);
    expect((await chat()).status).toBe(503);
    expect(await listed()).toEqual(["m"]);
    expect(await contentOf(await chat())).toBe("a");
  });

  it("serves its models while a bad card stands beside them", async () => {
    const file = { path: "/nowhere/tokenizer.json", checksum: `blake3:${"0".repeat(64)}` };
    const bad = {
      model_input: "Tokens" as const,
      model_info: { hf_config_json: file },
      tokenizer: { hf_tokenizer_json: file },
      prompt_formatter: { hf_tokenizer_config_json: file },
    };
    await startWorker(says("bad"), textCard("bad", bad));
    await startWorker(says("a"));
    await untilListed(["m"]);
    expect(await contentOf(await chat())).toBe("a");
    expect((await chat({ model: "bad" })).status).toBe(404);
  });

  it("tells a picture too large for the request plane as the client's fault", async () => {
    await startWorker(says("a"));
    await untilListed(["m"]);
    const response = await chat({ user: "x".repeat(9 * 1024 * 1024) });
    expect([response.status, await response.json()]).toEqual([
      400,
      expect.objectContaining({ message: expect.stringContaining("Request payload is too large for this deployment") }),
    ]);
  });

  it("tells the statuses that a worker names", async () => {
    await startWorker(async () => {
      throw new AppError("invalid_request", "picture 2 cannot be read");
    });
    await untilListed(["m"]);
    const response = await chat();
    expect([response.status, await response.json()]).toEqual([400, expect.objectContaining({ message: "picture 2 cannot be read" })]);
  });

  it("lets running answers end when it stops, and takes no more", async () => {
    const go = Promise.withResolvers<void>();
    await startWorker(async (_request, sink) => {
      await sink.item(chunk("a", null));
      await go.promise;
      await sink.item(chunk("b", "stop"));
    });
    await untilListed(["m"]);
    const running = await chat({ stream: true });
    const closed = frontend.close();
    await vi.waitFor(async () => expect((await fetch(`${frontend.url}/health`)).status).toBe(503), { timeout: 30_000, interval: 10 });
    expect((await chat()).status).toBe(503);
    go.resolve();
    expect(await running.text()).toContain("data: [DONE]");
    await closed;
    await expect(chat()).rejects.toThrow();
  });

  it("says which port is in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    await expect(stack.frontend([`--http-port=${port}`])).rejects.toThrow(
      `127.0.0.1:${port} is in use; stop what uses it or choose another with --http-port`,
    );
    other.close();
  });
});
