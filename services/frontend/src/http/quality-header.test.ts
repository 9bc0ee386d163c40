import { encodeItem } from "@mm-router/protocol";
import type { Call } from "@mm-router/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HttpBench } from "../../test/support/http-bench.ts";
import { wordModel } from "../../test/support/word-model.ts";
import { qualityHeader } from "./quality-header.ts";

const token = encodeItem("json", { data: { token_ids: [1], index: 0 } });
const end = encodeItem("json", { data: { token_ids: [], finish_reason: "stop" } });
const said = (comment: string) => encodeItem("json", { event: "routing_quality", comment: [comment] });
const annotationsOf = ({ body }: Call): unknown => JSON.parse(Buffer.from(body).toString()).annotations;

describe("the quality header", () => {
  let bench: HttpBench;

  async function begin(qualityHeader: boolean, ...batches: (readonly Buffer[])[]): Promise<void> {
    bench = new HttpBench({ stream: { keepAliveMs: 0, forceUsage: false, earlyErrorMs: 0, qualityHeader } });
    bench.serve("m", { text: wordModel });
    bench.script = async function* () {
      yield* batches;
    };
    await bench.listen();
  }

  beforeEach(() => begin(true, [said('{"quality":"degraded","reason":"timeout"}'), token], [end]));
  afterEach(() => bench.close());

  const ask = (more: object) =>
    bench.fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "a" }], ...more }),
    });

  it.each([{}, { stream: true }])("says what mm-router said, and the event stays out of the answer: %o", async (more) => {
    const answer = await ask(more);
    expect(answer.headers.get(qualityHeader)).toBe("degraded;reason=timeout");
    const text = await answer.text();
    expect(text).toContain("w1");
    expect(text).not.toContain("routing_quality");
    expect(bench.calls.map(annotationsOf)).toEqual([["routing_quality"]]);
  });

  it("leaves the event to a client that asked for it", async () => {
    const answer = await ask({ stream: true, nvext: { annotations: ["routing_quality"] } });
    expect(answer.headers.get(qualityHeader)).toBe("degraded;reason=timeout");
    expect(await answer.text()).toContain('event: routing_quality\n: {"quality":"degraded","reason":"timeout"}');
    expect(bench.calls.map(annotationsOf)).toEqual([["routing_quality"]]);
  });

  it.each([
    ["is not there behind a worker that says nothing of it", [token]],
    ["is not made of what could split a head", [said('{"quality":"exact\\r\\nx-evil: 1"}'), token]],
    ["is not made of what is no JSON", [said("exact"), token]],
  ])("%s", async (_, first) => {
    bench.close();
    await begin(true, first, [end]);
    const answer = await ask({ stream: true });
    expect([...answer.headers.keys()].filter((name) => name.startsWith("x-"))).toEqual(["x-request-id"]);
    expect(await answer.text()).toContain("w1");
  });

  it("is off unless asked for", async () => {
    bench.close();
    await begin(false, [token], [end]);
    const answer = await ask({ stream: true });
    expect(answer.headers.has(qualityHeader)).toBe(false);
    expect(bench.calls.map(annotationsOf)).toEqual([[]]);
  });
});
