import { request as httpRequest } from "node:http";
import { AppError, encodeItem, type InstanceId } from "@mm-router/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HttpBench, type Script } from "../../test/support/http-bench.ts";

const item = (data: object): Buffer => encodeItem("json", { data });
const chunk = (delta: object, finish: string | null = null): Buffer =>
  item({ id: "w", object: "chat.completion.chunk", created: 7, model: "wm", choices: [{ index: 0, delta, finish_reason: finish }] });

const hello = { model: "m", messages: [{ role: "user", content: "hi" }] };

describe("HTTP", () => {
  let bench: HttpBench;
  beforeEach(async () => {
    bench = new HttpBench();
    bench.script = async function* () {
      yield [chunk({ role: "assistant", content: "He" }), chunk({ content: "llo" })];
      yield [chunk({}, "stop")];
    };
    await bench.listen();
  });
  afterEach(() => bench.close());

  describe("routes", () => {
    it.each([
      ["GET", "/nope", 404, "Route not found: GET /nope"],
      ["POST", "/v1/chat/completions/", 404, "Route not found: POST /v1/chat/completions/"],
      ["GET", "/v1/models/", 404, "Route not found: GET /v1/models/"],
      ["GET", "//v1/models", 404, "Route not found: GET //v1/models"],
      ["GET", "/v1/models/nope", 404, "Model not found"],
      ["GET", "/v1/models/%zz", 404, "Model not found"],
    ])("%s %s is %d with a sentence", async (method, path, status, message) => {
      const response = await bench.fetch(path, { method });
      expect([response.status, await response.json()]).toEqual([
        status,
        expect.objectContaining({ message, code: status, error: expect.objectContaining({ message, param: null }) }),
      ]);
    });

    it.each([
      ["GET", "/v1/chat/completions", "POST"],
      ["OPTIONS", "/v1/completions", "POST"],
      ["PUT", "/v1/models", "GET,HEAD"],
      ["DELETE", "/v1/models/a/b", "GET,HEAD"],
    ])("%s %s is not allowed and says what is", async (method, path, allow) => {
      const response = await bench.fetch(path, { method });
      expect([response.status, response.headers.get("allow"), await response.text()]).toEqual([405, allow, ""]);
    });

    it("answer HEAD where GET is answered, and ignore a query", async () => {
      const head = await bench.fetch("/health", { method: "HEAD" });
      expect([head.status, head.headers.get("content-type"), await head.text()]).toEqual([200, "application/json", ""]);
      expect((await bench.fetch("/v1/models?x=1")).status).toBe(200);
    });

    it("of a kind of model are closed without a body until one is here", async () => {
      const closed = await bench.chat(hello);
      expect([closed.status, closed.headers.get("content-type"), await closed.text()]).toEqual([404, null, ""]);
      bench.serve("other");
      expect(await (await bench.chat(hello)).json()).toMatchObject({ message: "Model not found", type: "Not Found" });
      const completions = await bench.fetch("/v1/completions", {
        method: "POST",
        body: "{}",
        headers: { "content-type": "application/json" },
      });
      expect([completions.status, await completions.text()]).toEqual([404, ""]);
    });

    it("show metrics under Dynamo's names", async () => {
      bench.serve("m");
      await (await bench.chat(hello)).text();
      await bench.lastRequest();
      const response = await bench.fetch("/metrics");
      expect(response.headers.get("content-type")).toMatch(/^text\/plain/);
      expect(await response.text()).toContain(
        'dynamo_frontend_requests_total{model="m",endpoint="chat_completions",request_type="unary",status="success",error_type=""} 1',
      );
    });
  });

  describe("models", () => {
    it("are listed while they can be routed, the internal ones only on request", async () => {
      bench.serve("a/b");
      bench.serve("a/b__internal");
      const list = await (await bench.fetch("/v1/models")).json();
      expect(list).toMatchObject({ object: "list", data: [{ id: "a/b", object: "model", owned_by: "nvidia", context_window: 64 }] });
      expect((list as { data: unknown[] }).data.length).toBe(1);
      for (const path of ["/v1/models/a/b", "/v1/models/a%2Fb", "/v1/models/a/b__internal"])
        expect((await bench.fetch(path)).status).toBe(200);
      expect((await bench.chat({ ...hello, model: "a/b__internal" })).status).toBe(200);
    });

    it("say whether they are ready", async () => {
      const set = bench.serve("a/b");
      expect(await (await bench.fetch("/v1/models/a/b/ready")).json()).toMatchObject({ model: "a/b", ready: true });
      set.members.delete(1n as InstanceId);
      const gone = await bench.fetch("/v1/models/a/b/ready");
      expect([gone.status, await gone.json()]).toEqual([503, expect.objectContaining({ ready: false })]);
      expect((await bench.fetch("/v1/models/a/b")).status).toBe(503);
    });
  });

  describe("bodies", () => {
    beforeEach(() => {
      bench.serve("m");
    });

    it.each([
      ["text/plain", 415],
      ["application/json; charset=utf-8", 200],
      ["application/vnd.x+json", 200],
    ])("of type %s give %d", async (type, status) => {
      expect((await bench.chat(hello, { "content-type": type })).status).toBe(status);
    });

    it("beyond the limit are refused, announced or not", async () => {
      const big = JSON.stringify({ ...hello, user: "x".repeat(1024 * 1024) });
      const chunks = new ReadableStream({
        start(controller) {
          for (let at = 0; at < big.length; at += 65_536) controller.enqueue(new TextEncoder().encode(big.slice(at, at + 65_536)));
          controller.close();
        },
      });
      const streamed = await bench.fetch("/v1/chat/completions", {
        method: "POST",
        body: chunks,
        duplex: "half",
        headers: { "content-type": "application/json" },
      } as RequestInit);
      for (const response of [await bench.chat(big), streamed]) {
        expect([response.status, await response.json()]).toEqual([
          413,
          expect.objectContaining({
            message: "Request body exceeds the limit of 1 MB set by DYN_HTTP_BODY_LIMIT_MB",
            type: "Payload Too Large",
          }),
        ]);
      }
    });

    it.each([
      ["syntax", '{"model": "m", }'],
      ["nothing", ""],
      ["NaN", '{"model":"m","temperature":NaN,"messages":[]}'],
      ["a BOM", `\ufeff${JSON.stringify(hello)}`],
      ["text after the value", `${JSON.stringify(hello)} x`],
      ["a lone surrogate", '{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}'],
      ["a repeated member", '{"model":"m","model":"m","messages":[]}'],
      ["depth", `{"model":"m","messages":[],"metadata":${"[".repeat(130)}${"]".repeat(130)}}`],
    ])("with %s are refused as JSON", async (_what, body) => {
      const response = await bench.chat(body);
      expect([response.status, ((await response.json()) as { message: string }).message]).toEqual([
        400,
        expect.stringMatching(/^Failed to deserialize the JSON body into the target type: /),
      ]);
    });

    it("may hold raw control characters in strings", async () => {
      expect((await bench.chat('{"model":"m",\n"messages":[{"role":"user","content":"a\tb\\"\u0001"}]}')).status).toBe(200);
      expect(bench.calls[0]!.body.toString()).toContain(String.raw`"content":"a\tb\"\u0001"`);
    });
  });

  describe("answers of a Text worker", () => {
    beforeEach(() => {
      bench.serve("m");
    });

    it("are streamed in our form, ids and model the worker's", async () => {
      const response = await bench.chat({ ...hello, stream: true });
      expect(response.headers.get("content-type")).toBe("text/event-stream");
      expect((await response.text()).split("\n\n")).toEqual([
        'data: {"id":"w","choices":[{"index":0,"delta":{"content":"He","role":"assistant"},"finish_reason":null,"logprobs":null}],"created":7,"model":"wm","object":"chat.completion.chunk"}',
        'data: {"id":"w","choices":[{"index":0,"delta":{"content":"llo"},"finish_reason":null,"logprobs":null}],"created":7,"model":"wm","object":"chat.completion.chunk"}',
        'data: {"id":"w","choices":[{"index":0,"delta":{},"finish_reason":"stop","logprobs":null}],"created":7,"model":"wm","object":"chat.completion.chunk"}',
        "data: [DONE]",
        "",
      ]);
    });

    it("are folded, fragments of tool calls joined by their index", async () => {
      bench.script = async function* () {
        yield [
          chunk({ role: "assistant", tool_calls: [{ index: 0, id: "c1", type: "function", function: { name: "f", arguments: "" } }] }),
        ];
        yield [
          chunk({
            tool_calls: [
              { index: 0, function: { arguments: '{"a"' } },
              { index: 1, id: "c2", function: { name: "g", arguments: "{}" } },
            ],
          }),
        ];
        yield [chunk({ tool_calls: [{ index: 0, function: { arguments: ":1}" } }] }), chunk({}, "tool_calls")];
      };
      const { choices } = (await (await bench.chat(hello)).json()) as { choices: object[] };
      expect(choices).toEqual([
        {
          index: 0,
          message: {
            content: null,
            refusal: null,
            role: "assistant",
            tool_calls: [
              { id: "c1", type: "function", function: { name: "f", arguments: '{"a":1}' } },
              { id: "c2", type: "function", function: { name: "g", arguments: "{}" } },
            ],
          },
          finish_reason: "tool_calls",
          logprobs: null,
        },
      ]);
    });

    it("pass annotations on as comments, with a chunk that tells nothing for OpenAI's libraries, which parse every event", async () => {
      bench.script = async function* () {
        yield [encodeItem("json", { event: "my_event", comment: ['{"a":1}', "two\nlines"] }), chunk({ content: "x" }, "stop")];
      };
      expect(await (await bench.chat({ ...hello, stream: true })).text()).toMatch(/^event: my_event\n: {"a":1}\n: two\n: lines\n\ndata: /);
      const answer = await bench.chat({ ...hello, stream: true }, { "x-stainless-lang": "python" });
      expect(await answer.text()).toMatch(
        /^event: my_event\n: {"a":1}\n: two\n: lines\ndata: {"id":"chatcmpl-[^"]+","choices":\[\],[^\n]*"object":"chat.completion.chunk"}\n\ndata: /,
      );
    });

    it.each([
      ["no item at all", async function* () {}],
      [
        "an item that is no chunk",
        async function* () {
          yield [item({ hello: 1 })];
        },
      ],
      [
        "a finish reason that OpenAI does not have",
        async function* () {
          yield [chunk({ content: "x" }, "weird")];
        },
      ],
    ] as [string, Script][])("with %s are a 500", async (_what, script) => {
      bench.script = script;
      const response = await bench.chat(hello);
      expect([response.status, await response.json()]).toEqual([
        500,
        expect.objectContaining({ message: "Internal server error", details: { backend_status: 500 } }),
      ]);
      expect(await (await bench.chat({ ...hello, stream: true })).text()).toBe(
        'data: {"error":{"message":"Internal server error","type":"internal_server_error","code":500}}\n\ndata: [DONE]\n\n',
      );
    });

    it("that break tell the break after what came, and do not close the model whose only worker it was", async () => {
      bench.script = async function* () {
        yield [chunk({ content: "He" })];
        throw new AppError("worker_lost", "Stream ended before generation completed");
      };
      const events = (await (await bench.chat({ ...hello, stream: true })).text()).split("\n\n");
      expect(events.slice(1)).toEqual([
        'data: {"error":{"message":"Service temporarily unavailable","type":"service_unavailable","code":503}}',
        "data: [DONE]",
        "",
      ]);
      bench.script = async function* () {
        yield [chunk({ content: "Hello" }, "stop")];
      };
      expect((await bench.chat(hello)).status).toBe(200);
      expect(await (await bench.fetch("/v1/models")).json()).toMatchObject({ data: [{ id: "m" }] });
    });
  });

  describe("requests", () => {
    beforeEach(() => {
      bench.serve("m");
    });

    it("are named by the client, else by their context id", async () => {
      const uuid = "11111111-2222-4333-8444-555555555555";
      const named = await bench.chat(hello, { "x-request-id": "mine", "x-dynamo-request-id": uuid });
      expect([named.headers.get("x-request-id"), bench.calls[0]!.contextId]).toEqual(["mine", uuid]);
      const failed = await bench.chat({ ...hello, model: "nope" });
      expect([failed.status, failed.headers.get("x-request-id")]).toEqual([404, expect.stringMatching(/^[0-9a-f-]{36}$/)]);
    });

    it.each([true, false])("are cancelled at the worker when the client leaves (stream: %s)", async (stream) => {
      const left = Promise.withResolvers<void>();
      bench.script = async function* (call) {
        yield [chunk({ content: "He" })];
        await new Promise((_, reject) => {
          call.signal.addEventListener("abort", () => reject(new AppError("client_closed", "gone")));
          left.resolve();
        });
      };
      const request = httpRequest({
        port: bench.port,
        path: "/v1/chat/completions",
        method: "POST",
        headers: { "content-type": "application/json" },
      });
      request.on("error", () => {}); // we are the ones who hang up
      request.end(JSON.stringify({ ...hello, stream }));
      await left.promise;
      request.destroy();
      expect(await bench.lastRequest()).toMatchObject({ client_left: true, error: "client_closed" });
      expect(bench.cancelled.length).toBe(1);
      const metrics = await (await bench.fetch("/metrics")).text();
      expect(metrics).toContain(`error_type="cancelled"} 1`);
      expect(metrics).toContain("dynamo_frontend_disconnected_clients 1");
      expect(metrics).toContain('dynamo_frontend_inflight_requests{model="m"} 0');
    });

    it("in progress are waited for while new ones are refused", async () => {
      const go = Promise.withResolvers<void>();
      bench.script = async function* () {
        yield [chunk({ content: "He" })];
        await go.promise;
        yield [chunk({}, "stop")];
      };
      const running = await bench.chat({ ...hello, stream: true });
      const drained = bench.inFlight.drain(60_000);
      const refused = await bench.chat(hello);
      expect([refused.status, await refused.json()]).toEqual([503, expect.objectContaining({ message: "Service is not ready" })]);
      expect(await (await bench.fetch("/health")).json()).toEqual({
        status: "not_ready",
        stage: "draining",
        message: "Service is not ready",
      });
      expect((await bench.fetch("/live")).status).toBe(503);
      go.resolve();
      expect(await running.text()).toContain("data: [DONE]");
      await drained;
    });

    it("that meet a bug of ours say nothing of it", async () => {
      bench.script = () => {
        throw new TypeError("undefined is not a function");
      };
      const response = await bench.chat(hello);
      expect([response.status, await response.text()]).toEqual([500, expect.not.stringContaining("undefined")]);
      expect(
        bench.lines.some(({ msg, facts }) => msg === "request failed by a bug" && String(facts!["stack"]).includes("server.test")),
      ).toBe(true);
    });
  });
});
