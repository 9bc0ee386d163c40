// The main job as Python programs and a shell see it: the official clients of OpenAI and Anthropic, and curl.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { publicModel, waitFor } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { type Chain, runningIn, startChain, sum } from "./harness/chain.ts";
import { chatRequest, simulatedText, uniquePictureUrl, uniquePrompt } from "./harness/requests.ts";

const run = promisify(execFile);
const python = join(import.meta.dirname, "..", "..", ".cache", "clients", "bin", "python");
const script = join(import.meta.dirname, "python", "clients.py");

type Told = Readonly<Record<string, any>>; // what a client made of an answer, one form per feature

await describeReal("clients in Python and a shell", real.clients, () => {
  let chain: Chain;
  let told: ReadonlyMap<string, Told> = new Map();
  beforeAll(async () => {
    chain = await startChain({ requestPlane: "tcp", routers: 1, environment: { DYN_ENABLE_ANTHROPIC_API: "1" } });
    const args = [script, chain.frontend.url, publicModel, uniquePictureUrl(), uniquePrompt()];
    const { stdout } = await run(python, args, { timeout: 120_000 });
    const lines = stdout.trim().split("\n");
    told = new Map(lines.map((line) => JSON.parse(line) as Told).map((line) => [line["feature"] as string, line]));
  });
  afterAll(() => chain?.[Symbol.asyncDispose]());
  const about = (feature: string): Told => told.get(feature)!;

  describe("openai-python", () => {
    it("lists and retrieves the model", () => {
      expect(about("models")["ids"]).toContain(publicModel);
      expect(about("models")["retrieved"]).toBe(publicModel);
    });

    it("reads answers whole, streamed, by the stream helper, with usage and the request's id", () => {
      expect(about("chat")).toMatchObject({ content: simulatedText, usage: { completion_tokens: 11 }, request_id: expect.any(String) });
      expect(about("chat stream")).toMatchObject({ content: simulatedText.repeat(10), usage: { completion_tokens: 110 } });
      expect(about("chat stream")["pieces"]).toBeGreaterThan(3);
      expect(about("chat stream helper")).toMatchObject({ content: simulatedText });
    });

    it("is told that the second request with an image was cached", () => {
      const [first, second] = about("image twice")["cached"];
      expect(first).toBe(0);
      expect(second).toBeGreaterThan(0);
    });

    it("gets a completion", () => {
      expect(about("completion")["text"]).toBe(simulatedText);
    });

    it("raises its own errors with our sentences", () => {
      expect(about("unknown model")).toMatchObject({
        kind: "NotFoundError",
        status: 404,
        message: expect.stringContaining("Model not found"),
      });
      const impossible = { kind: "BadRequestError", status: 400, message: expect.stringContaining("Temperature must be between 0 and 2") };
      expect(about("impossible temperature")).toMatchObject(impossible);
    });

    it("reads responses whole and streamed", () => {
      expect(about("response")).toMatchObject({ text: simulatedText });
      expect(about("response stream")["types"]).toContain("response.output_text.delta");
    });

    it("lets the worker go when it closes a stream", async () => {
      await waitFor({ what: "no request to run any more" }, async () => {
        return sum(await runningIn(chain.simulatedWorkers)) === 0 || undefined;
      });
    });
  });

  it("anthropic-python reads messages whole and streamed, sends an image, counts tokens", () => {
    expect(about("message")["text"]).toBe(simulatedText);
    expect(about("message stream")["text"]).toBe(simulatedText);
    expect(about("message with an image")["text"]).toBe(simulatedText);
    expect(about("token count")["tokens"]).toBeGreaterThan(100);
  });

  describe("curl", () => {
    const post = async (body: object, ...more: string[]): Promise<string> => {
      const url = `${chain.frontend.url}/v1/chat/completions`;
      const { stdout } = await run("curl", ["-sS", ...more, url, "-H", "content-type: application/json", "-d", JSON.stringify(body)]);
      return stdout;
    };

    // not "real" in the sense of CI: a machine without curl misses a tool, not Dynamo
    const needsCurl = async (context: TestContext): Promise<void> => {
      const isHere = await run("curl", ["--version"]).then(
        () => true,
        () => false,
      );
      context.skip(!isHere, "curl is missing; remedy: apt install curl");
    };

    it("prints an answer", async (context) => {
      await needsCurl(context);
      const answer = JSON.parse(await post(chatRequest(uniquePrompt())));
      expect(answer).toMatchObject({ choices: [{ message: { content: simulatedText } }] });
    });

    it("prints a stream up to [DONE]", async (context) => {
      await needsCurl(context);
      const events = (await post({ ...chatRequest(uniquePrompt()), stream: true }, "-N")).trim().split("\n\n");
      expect(events.at(-1)).toBe("data: [DONE]");
      expect(events.every((event) => event.startsWith("data: "))).toBe(true);
    });
  });
});
