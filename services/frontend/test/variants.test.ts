// The recorded requests under other flags and environments (golden frontend variants-1.6.1), and what a frontend tells of itself:
// its description against openapi.json, its metrics against metrics.json.
import { golden } from "@mm-router/testkit/golden";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { frontendMetrics } from "../src/metrics.ts";
import { createMetrics } from "@mm-router/runtime";
import { type Answer, comparableAnswer, comparableRequest } from "./replay/comparison.ts";
import { goldenCards } from "./replay/golden-models.ts";
import { type RecordedRequest, send } from "./replay/http-client.ts";
import { recordedRequest } from "./replay/recorded-requests.ts";
import { ScriptedWorker } from "./replay/scripted-worker.ts";
import { Stack } from "./replay/stack.ts";

interface VariantCase {
  readonly id: string;
  readonly request: { readonly method: string; readonly path: string; readonly body?: object | string };
  readonly response: { readonly status: number; readonly content_type?: string; readonly body?: string; readonly sse?: readonly string[] };
  readonly worker_received?: readonly { readonly request?: Record<string, unknown>; readonly metadata?: object; readonly event?: string }[];
}
interface Variant {
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cases: readonly VariantCase[];
}

const variants = golden<{ variants: Record<string, Variant> }>("frontend/variants-1.6.1.json").variants;
/** The recording's models, and the namespace that they stood in. */
const components = ["chatonly", "hermes", "short", "think", "tok", "vl"];
const namespace = "variants";

/** Where ours answers otherwise on purpose; the numbers are those of deliberate-differences.ts. */
const deliberate: Readonly<Record<string, (theirs: Answer) => unknown>> = {
  "peek chat.valueerr.stream": told("ValueError: bad value here"), // 1
  "peek cmpl.valueerr.stream": told("ValueError: bad value here"), // 1
  // The only instance failed a moment ago: ours asks it all the same, since it may be a router with other workers behind it.
  "stream_timeout late unary": () => answered(504, { message: "Request deadline exceeded", type: "Gateway Timeout", code: 504 }),
  // 14: the thought that 1.6.1 drops
  "reasoning_field resp.think": (theirs) => {
    const answer = comparableAnswer(theirs) as { body: { output: object[] } };
    const text = "\nLet me think about Paris.\n";
    const item = { type: "reasoning", id: "rs_<hex>", status: "completed", summary: [], content: [{ type: "reasoning_text", text }] };
    return { ...answer, body: { ...answer.body, output: [item, ...answer.body.output] } };
  },
};

function told(message: string) {
  return () => answered(400, { message, type: "Bad Request", code: 400 });
}

function answered(status: number, body: object): unknown {
  return { status, contentType: "application/json", allow: undefined, body };
}

describe("a frontend with other settings", () => {
  let stack: Stack;
  const worker = new ScriptedWorker();

  beforeAll(async () => {
    stack = await Stack.start();
    const runtime = await stack.runtime();
    const cards = await goldenCards();
    for (const component of components) {
      const card = cards.get(component)!;
      const told = { ...card.runtime_config, exclude_tools_when_tool_choice_none: true }; // as its workers said
      await worker.serve(runtime, namespace, component, { ...card, runtime_config: told });
    }
  });
  afterAll(() => stack[Symbol.asyncDispose]());

  async function started(flags: readonly string[], env: Record<string, string>, modelsPath = "/v1/models") {
    const frontend = await stack.frontend(flags, env);
    const served = async () => ((await (await fetch(`${frontend.url}${modelsPath}`)).json()) as { data: object[] }).data.length;
    await vi.waitFor(async () => expect(await served()).toBe(components.length), { timeout: 30_000, interval: 50 });
    return frontend;
  }

  it.each(Object.entries(variants))("%s answers as 1.6.1 does", async (name, { flags, env, cases }) => {
    const frontend = await started(flags, env, env["DYN_HTTP_SVC_MODELS_PATH"]);
    const differing: unknown[] = [];
    for (const recorded of cases.filter(({ id }) => id !== "get /metrics")) {
      const from = worker.received.length;
      const ours = comparable(await send(frontend.url, requestOf(recorded)), recorded);
      const theirs = { ...recorded.response, headers: { "content-type": recorded.response.content_type ?? "" } } as Answer;
      const expected = deliberate[`${name} ${recorded.id}`]?.(theirs) ?? comparable(theirs, recorded);
      try {
        expect(ours).toEqual(expected);
        expect(worker.received.slice(from).map((each, at) => sameMembers(each, recorded, at))).toEqual(worksOf(recorded));
      } catch (error) {
        differing.push({ id: recorded.id, error: (error as Error).message.slice(0, 2000) });
      }
    }
    expect(differing).toEqual([]);
    await frontend.close();
  });

  it("describes the routes that 1.6.1 describes, but for those that it does not serve", async () => {
    const frontend = await started(["--enable-anthropic-api"], {});
    const description = (await (await fetch(`${frontend.url}/openapi.json`)).json()) as { paths: Record<string, object> };
    const ours = Object.entries(description.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace("{model_id}", "{*model_id}")}`),
    );
    const { releases } = golden<{ releases: Record<string, { routes: string[] }> }>("frontend/openapi.json");
    const notServed = /audio|classify|images|pooling|realtime|rerank|videos/;
    const theirs = releases["1.6.1"]!.routes.filter((route) => !notServed.test(route));
    expect(ours.map((route) => route.replace("{*model_id}/ready", "{model_id}/ready")).toSorted()).toEqual(theirs.toSorted());
    const page = await (await fetch(`${frontend.url}/docs`)).text();
    for (const path of Object.keys(description.paths)) expect(page).toContain(`<code>${path}</code>`);
    await frontend.close();
  });

  it("counts under its own prefix when it has one", async () => {
    const frontend = await started(["--metrics-prefix", "foo"], {});
    expect(await (await fetch(`${frontend.url}/metrics`)).text()).toMatch(/^foo_model_context_length\{model="test\/tok"\} 128000$/m);
    await frontend.close();
  });

  /** What of a worker's request was recorded. */
  function sameMembers({ request, metadata }: (typeof worker.received)[number], recorded: VariantCase, at: number): unknown {
    const names = Object.keys(worksRecorded(recorded)[at]?.request ?? {});
    const comparable = comparableRequest(request) as Record<string, unknown>;
    return { metadata, request: Object.fromEntries(names.map((name) => [name, comparable[name] ?? null])) };
  }
});

function worksRecorded({ worker_received: works = [] }: VariantCase) {
  return works.filter(({ request, event }) => request !== undefined && event === undefined);
}

/** Cases without a record of the worker's side are not compared there. */
function worksOf(recorded: VariantCase): unknown {
  const works = worksRecorded(recorded);
  return works.length === 0 ? expect.any(Array) : works.map(({ request, metadata }) => ({ metadata, request: comparableRequest(request) }));
}

function requestOf({ id, request }: VariantCase): RecordedRequest {
  const known = recordedRequest(id);
  const written = request.body === "2 MiB of text" ? "x".repeat(2 * 1024 * 1024) : request.body;
  const body = written === undefined ? undefined : JSON.stringify(written);
  const content = body === undefined ? {} : { "content-type": "application/json", "content-length": `${Buffer.byteLength(body)}` };
  const headers = { ...content, ...known?.headers, ...(id === "own" && { "x-own-a": "1" }) };
  delete (headers as Record<string, string>)["content-length"];
  return { method: request.method, path: request.path, headers: { ...headers, ...content }, body };
}

/** Instances are this stack's own; comments that keep a stream alive come by the clock. */
function comparable(answer: Answer, { request }: VariantCase): unknown {
  if (request.path.endsWith("/health") && answer.status === 200) return { status: answer.status };
  const { sse } = answer;
  const kept = sse && { sse: sse.filter((event, at) => event !== ":" || sse[at - 1] !== ":") };
  return comparableAnswer({ ...answer, ...kept });
}

describe("the metrics", () => {
  it("that dashboards read have the types, labels and buckets of 1.6.1", async () => {
    const registry = createMetrics({ processMetrics: false });
    frontendMetrics(registry, "dynamo_frontend");
    const text = await registry.text();
    const { releases } = golden<{ releases: Record<string, { name: string; type: string }[]> }>("frontend/metrics.json");
    const theirs = new Map(releases["1.6.1"]!.map(({ name, type }) => [name, type]));
    const ours = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!] as const);
    expect(ours.filter(([name, type]) => theirs.has(name) && theirs.get(name) !== type)).toEqual([]);
    expect(ours.filter(([name]) => theirs.has(name)).length).toBeGreaterThanOrEqual(17);
  });
});
