// Bad input, one table: what the client gets, in status and sentence, and that nobody else notices.
//
// The workers play Dynamo 1.0.2, which would open any URL: what must not be opened is refused before them. The image server
// listens on this machine, so all that it logs was fetched against the policy (nobody here has DYN_MM_ALLOW_INTERNAL).
import { dataUrl, type ImageServer, metricOf, publicModel, solidPng, startImageServer, waitFor } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Chain, processesOf, runningIn, startChain } from "./harness/chain.ts";
import { chatRequest, imageRequest, simulatedText, simulatedTokens, uniquePrompt } from "./harness/requests.ts";

interface BadInput {
  readonly name: string;
  /** Text as it is sent, made when its turn comes: some are tens of megabytes. */
  readonly body: (images: ImageServer) => string;
  readonly contentType?: string;
  readonly status: number;
  readonly sentence: string;
}

const unreadable = "Failed to deserialize the JSON body into the target type: ";
const json = (value: object) => () => JSON.stringify(value);
const image = (url: string) => json(imageRequest(url));
const local = (urlOf: (port: string) => string) => (images: ImageServer) => JSON.stringify(imageRequest(urlOf(new URL(images.url).port)));
const megabytes = (count: number, text: string): string => text.repeat(Math.ceil((count * 1_000_000) / text.length));

const messages = [{ role: "user", content: "Hello" }];
const chat = { model: publicModel, messages };

const shapes: BadInput[] = [
  { name: "JSON that stops in the middle", body: () => '{"model":"model","messages":[', status: 400, sentence: unreadable },
  { name: "JSON nested too deeply", body: () => `{"model":${"[".repeat(200)}${"]".repeat(200)}}`, status: 400, sentence: unreadable },
  { name: "an empty body", body: () => "", status: 400, sentence: unreadable },
  { name: "messages that are a string", body: json({ ...chat, messages: "Hello" }), status: 400, sentence: unreadable },
  { name: "a temperature that is a string", body: json({ ...chat, temperature: "hot" }), status: 400, sentence: unreadable },
  {
    name: "an image_url that is a string",
    body: json({ ...chat, messages: [{ role: "user", content: [{ type: "image_url", image_url: "https://a.example/b.png" }] }] }),
    status: 400,
    sentence: unreadable,
  },
  { name: "no messages", body: json({ ...chat, messages: [] }), status: 400, sentence: "Validation: " },
  {
    name: "a temperature of 9",
    body: json({ ...chat, temperature: 9 }),
    status: 400,
    sentence: "Validation: Temperature must be between 0 and 2, got 9",
  },
  {
    name: "a member that no request has",
    body: json({ ...chat, echo: true }),
    status: 400,
    sentence: "Validation: Unsupported parameter(s): `echo`",
  },
  {
    name: "another content type",
    body: json(chat),
    contentType: "text/plain",
    status: 415,
    sentence: "Expected request with Content-Type application/json",
  },
  { name: "a model that nobody serves", body: json({ ...chat, model: "nobody" }), status: 404, sentence: "Model not found" },
];

const sizes: BadInput[] = [
  {
    name: "20 MB of text",
    body: () => JSON.stringify(chatRequest(megabytes(20, "tree "))),
    status: 400,
    sentence: "This model's maximum context length is 32768 tokens. However, your messages resulted in ",
  },
  {
    name: "a data: URL of 20 MB",
    body: () => JSON.stringify(imageRequest(`data:image/png;base64,${megabytes(20, "AAAA")}`)),
    status: 400,
    sentence: "a data: URL has ",
  },
  {
    name: "50 MB of anything",
    body: () => JSON.stringify(chatRequest(megabytes(50, "tree "))),
    status: 413,
    sentence: "Request body exceeds the limit of 45 MB set by DYN_HTTP_BODY_LIMIT_MB",
  },
];

const unusable = "Failed to load image";
const refused = "an image URL is refused: ";
const direct = "Direct IP access is not allowed: ";

const urls: BadInput[] = [
  { name: "an image that cannot be reached", body: image("https://nobody.invalid/a.png"), status: 400, sentence: unusable },
  { name: "bytes that are no image", body: image(dataUrl(Buffer.from("not an image"))), status: 415, sentence: "Unsupported media type" },
  { name: "a data: URL of garbage", body: image("data:image/png;base64,%%%%"), status: 400, sentence: unusable },
  { name: "a file: URL", body: image("file:///etc/passwd"), status: 400, sentence: refused },
  { name: "a bare path", body: image("/etc/passwd"), status: 400, sentence: unreadable },
  { name: "a loopback address", body: local((port) => `http://127.0.0.1:${port}/secret.png`), status: 400, sentence: direct },
  {
    name: "a loopback address as one number",
    body: local((port) => `http://2130706433:${port}/secret.png`),
    status: 400,
    sentence: direct,
  },
  { name: "a loopback address of IPv6", body: local((port) => `http://[::1]:${port}/secret.png`), status: 400, sentence: direct },
  { name: "localhost", body: local((port) => `http://localhost:${port}/secret.png`), status: 400, sentence: direct },
  {
    name: "a name of this machine",
    body: local((port) => `http://localhost.localdomain:${port}/secret.png`),
    status: 400,
    sentence: refused,
  },
  { name: "the metadata address", body: image("http://169.254.169.254/latest/meta-data/"), status: 400, sentence: direct },
  { name: "the metadata name", body: image("http://metadata.google.internal/computeMetadata/v1/"), status: 400, sentence: refused },
];

await describeReal("bad input", real.infra, () => {
  let chain: Chain;
  let images: ImageServer;
  beforeAll(async () => {
    images = await startImageServer();
    images.put("/secret.png", { body: solidPng(28, 28, 0) });
    chain = await startChain({
      requestPlane: "nats",
      workers: 1,
      routers: 1,
      playing: "1.0.2",
      environment: { DYN_MM_ALLOW_INTERNAL: "0" },
    });
  });
  afterAll(async () => {
    await chain?.[Symbol.asyncDispose]();
    await images?.[Symbol.asyncDispose]();
  });

  describe.each([
    { kind: "body", table: shapes },
    { kind: "size", table: sizes },
    { kind: "image", table: urls },
  ])("wrong $kind", ({ table }) => {
    it.each(table)("$name: $status, while another stream goes on", async ({ body, contentType, status, sentence }) => {
      const others = await startStream();
      const answer = await post(body(images), contentType);
      expect(answer).toMatchObject({ status, body: { code: status, message: expect.stringContaining(sentence) as string } });
      expect(answer.body.error).toMatchObject({ code: status, message: answer.body.message, param: null });
      expect(await others.rest).toBe(simulatedText.repeat(8));
    });
  });

  it("fetched nothing from this machine", () => {
    expect(images.requests()).toEqual([]);
  });

  it("left nothing behind: no request open anywhere, every process alive and serving", async () => {
    await waitFor({ what: "all requests to be over" }, async () => ((await openRequests()).every((open) => open === 0) ? true : undefined));
    expect(processesOf(chain).every(({ child }) => child.running)).toBe(true);
    expect(await (await startStream()).rest).toBe(simulatedText.repeat(8));
  });

  it("no worker: 503 and a sentence, once the last one has gone", async () => {
    const [worker] = chain.simulatedWorkers;
    worker!.child.signalGroup("SIGTERM");
    await worker!.child.exit;
    const answer = await post(JSON.stringify(chat));
    expect(answer).toMatchObject({ status: 503, body: { code: 503, message: "Service temporarily unavailable" } });
  });

  interface Failure {
    readonly status: number;
    readonly body: { readonly code: number; readonly message: string; readonly error: object };
  }

  async function post(body: string, contentType = "application/json"): Promise<Failure> {
    const url = `${chain.frontend.url}/v1/chat/completions`;
    const headers = { "content-type": contentType };
    const response = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(30_000) });
    return { status: response.status, body: (await response.json()) as Failure["body"] };
  }

  /** A stream that has begun; `rest` resolves to all of its text. */
  async function startStream(): Promise<{ readonly rest: Promise<string> }> {
    const request = chatRequest(uniquePrompt(), 8 * simulatedTokens);
    const stream = await chain.openai.chat.completions.create({ ...request, stream: true });
    const begun = Promise.withResolvers<void>();
    const rest = (async () => {
      let text = "";
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? "";
        if (text !== "") begun.resolve();
      }
      return text;
    })();
    await Promise.race([begun.promise, rest]);
    return { rest };
  }

  async function openRequests(): Promise<number[]> {
    const gauges = ["active_requests", "inflight_requests", "queued_requests"];
    const atFrontend = gauges.map((name) => metricOf({ ...chain.frontend, statusUrl: chain.frontend.url }, `dynamo_frontend_${name}`));
    return [...(await Promise.all(atFrontend)), ...(await runningIn([...chain.routers, ...chain.simulatedWorkers]))];
  }
});
