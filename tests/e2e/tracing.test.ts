// One trace over three processes: the client's span, the frontend's, the router's, the worker's, each the parent of the next.
//
// The collector is an HTTP server of this test that keeps what OTLP/HTTP posts (JSON of opentelemetry-proto).
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { text } from "node:stream/consumers";
import { waitFor } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Chain, startChain } from "./harness/chain.ts";
import { chatRequest, uniquePrompt } from "./harness/requests.ts";

interface PostedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly attributes: string;
}

interface Posted {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: (Omit<PostedSpan, "service" | "attributes"> & { attributes: unknown })[] }[];
  }[];
}

await describeReal("tracing", real.infra, () => {
  const spans: PostedSpan[] = [];
  let collector: Server;
  let chain: Chain;
  beforeAll(async () => {
    collector = createServer((request, response) => {
      void text(request).then((body) => {
        if (request.url === "/v1/traces") spans.push(...spansOf(JSON.parse(body) as Posted));
        response.writeHead(200, { "content-type": "application/json" }).end("{}");
      });
    }).listen(0, "127.0.0.1");
    await once(collector, "listening");
    const { port } = collector.address() as { port: number };
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
    chain = await startChain({ requestPlane: "tcp", workers: 1, routers: 1, environment });
  });
  afterAll(async () => {
    await chain?.[Symbol.asyncDispose]();
    collector?.close();
  });

  it("joins frontend, router, its question to the index and worker under the client's own span", async () => {
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const prompt = uniquePrompt();
    await chain.openai.chat.completions.create(chatRequest(prompt), { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` } });
    const joined = await waitFor({ what: "the spans of three processes, and of the question" }, async () => {
      const ours = spans.filter((span) => span.traceId === traceId);
      return ours.length >= 4 ? ours : undefined;
    });
    const partsOf = (spanId: string) =>
      joined
        .filter(({ parentSpanId }) => parentSpanId === spanId)
        .map(({ service, name }) => `${service}: ${name}`)
        .sort();
    const named = (wanted: string) => joined.find(({ name }) => name === wanted)!.spanId;
    expect(partsOf("b7ad6b7169203331")).toEqual(["mm-router-frontend: POST chat_completions"]);
    expect(partsOf(named("POST chat_completions"))).toEqual(["mm-router-mm-router: mm_router/generate"]);
    expect(partsOf(named("mm_router/generate"))).toEqual([
      "mm-router-mm-router: index lookup",
      "mm-router-simulated-worker: backend/generate",
    ]);
    expect(joined.map(({ attributes }) => attributes).join()).not.toContain(prompt.slice(0, 10));
  });

  it("begins a trace of its own where the client's header is malformed", async () => {
    await chain.openai.chat.completions.create(chatRequest(uniquePrompt()), { headers: { traceparent: "00-zz-zz-01" } });
    const root = await waitFor({ what: "a span without a parent" }, async () =>
      spans.find(({ service, parentSpanId }) => service === "mm-router-frontend" && !parentSpanId),
    );
    expect(root.traceId).toMatch(/^[0-9a-f]{32}$/);
  });
});

function spansOf({ resourceSpans }: Posted): PostedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = resource.attributes.find(({ key }) => key === "service.name")?.value.stringValue ?? "";
    const posted = scopeSpans.flatMap((scope) => scope.spans);
    return posted.map((span) => ({ ...span, service, attributes: JSON.stringify(span.attributes) }));
  });
}
