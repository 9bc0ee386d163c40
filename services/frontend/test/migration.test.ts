// Workers that are killed with -9 in the middle of a stream, over real NATS and etcd: the client sees one unbroken answer.
//
// MMR_TEST_WORKER_KILLS=200 is the long form.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { type ModelCard, stringifyJson } from "@mm-router/protocol";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { goldenCards } from "./replay/golden-models.ts";
import { Stack } from "./replay/stack.ts";

const kills = Number(process.env["MMR_TEST_WORKER_KILLS"] ?? 4);
const workersWanted = 3;
const answerTokens = 60;
const script = join(import.meta.dirname, "support", "counting-worker.ts");

interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string }; readonly finish_reason: string | null }[];
  readonly usage?: object;
  readonly nvext?: { readonly worker_id: { readonly decode_worker_id: string }; readonly completion_token_ids: readonly number[] };
  readonly error?: object;
}

describe("a stream whose worker is killed", () => {
  let stack: Stack;
  let url: string;
  let card: ModelCard;
  const children: ChildProcess[] = [];
  /** Those that serve, by instance id. */
  const workers = new Map<string, ChildProcess>();

  beforeAll(async () => {
    stack = await Stack.start();
    card = (await goldenCards()).get("tok")!;
    ({ url } = await stack.frontend(["--namespace", stack.namespace, "--migration-limit", "3"]));
    await Promise.all(Array.from({ length: workersWanted }, startWorker));
  });
  afterAll(async () => {
    for (const child of children) child.kill("SIGKILL");
    await stack[Symbol.asyncDispose]();
  });

  async function startWorker(): Promise<void> {
    const child = spawn(process.execPath, [script, stringifyJson(card), stack.namespace], {
      env: { ...process.env, ...stack.environment },
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    const [line] = (await once(createInterface({ input: child.stdout! }), "line")) as [string];
    const { instance } = JSON.parse(line) as { instance: string };
    await vi.waitFor(async () => expect((await pinned(instance)).status).toBe(200), { timeout: 30_000, interval: 50 });
    workers.set(instance, child);
  }

  /** Only a worker that the frontend knows takes it: before, a stream could not go on there. */
  const pinned = (instance: string) =>
    fetch(`${url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-dynamo-worker-instance-id": instance },
      body: JSON.stringify({ model: "test/tok", prompt: "x", max_tokens: 1 }),
    });

  /** @param onToken told after each chunk who gives it, and how many tokens have come */
  async function streamed(onToken: (instance: string, tokens: number) => void) {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "test/tok",
        messages: [{ role: "user", content: "count" }],
        max_tokens: answerTokens,
        stream: true,
        stream_options: { include_usage: true },
        nvext: { extra_fields: ["worker_id", "completion_token_ids"] },
      }),
    });
    let text = "";
    let usage: object | undefined;
    let finish: string | undefined;
    const ids: number[] = [];
    const events: string[] = [];
    for await (const line of createInterface({ input: Readable.fromWeb(response.body! as ReadableStream<Uint8Array>) })) {
      if (!line.startsWith("data: ")) continue;
      events.push(line);
      if (line === "data: [DONE]") continue;
      // u64 ids as text: they do not fit into numbers
      const chunk = JSON.parse(line.slice("data: ".length).replaceAll(/_id":(\d+)/g, '_id":"$1"')) as Chunk;
      expect(chunk.error).toBeUndefined();
      text += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
      ids.push(...(chunk.nvext?.completion_token_ids ?? []));
      if (chunk.nvext !== undefined) onToken(chunk.nvext.worker_id.decode_worker_id, ids.length);
    }
    return { text, usage, finish, ids, end: events.at(-1) };
  }

  it(`tells the same text, every token once and the right usage, ${kills} times`, { timeout: 30_000 + kills * 10_000 }, async () => {
    const undisturbed = await streamed(() => {});
    expect(undisturbed).toMatchObject({ finish: "length", end: "data: [DONE]", usage: { completion_tokens: answerTokens } });
    expect(new Set(undisturbed.ids).size).toBe(answerTokens);
    let migrated = 0;
    const starting: Promise<void>[] = [];
    while (migrated < kills) {
      // one kill in most streams, two in every fourth; the last tokens are left out: a stream that ends first proves nothing
      const points = (migrated % 4 === 3 ? [10, 40] : [1]).map((from) => from + Math.floor(Math.random() * (answerTokens - from - 15)));
      if (workers.size <= points.length) await Promise.all(starting.splice(0)); // somebody must be there to go on
      let victim: string | undefined;
      const answer = await streamed((instance, tokens) => {
        if (victim !== undefined && instance !== victim) {
          migrated++; // not counted where the victim had sent all before this process heard of its first: it is killed all the same
          victim = undefined;
        }
        if (points.length === 0 || tokens < points[0]! || !workers.has(instance)) return;
        points.shift();
        workers.get(instance)!.kill("SIGKILL");
        workers.delete(instance);
        victim = instance;
        starting.push(startWorker());
      });
      expect(answer).toEqual(undisturbed);
    }
    await Promise.all(starting);
    const migrations = /model_migration_total\{model="test\/tok",migration_type="ongoing_request"\} (\d+)/;
    expect(Number(migrations.exec(await (await fetch(`${url}/metrics`)).text())?.[1])).toBe(migrated);
  });
});
