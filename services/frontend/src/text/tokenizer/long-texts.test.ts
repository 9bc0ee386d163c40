import { goldenText } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { LongTexts } from "./long-texts.ts";
import { atOnce } from "../steps.ts";
import { Tokenizer } from "./tokenizer.ts";

const tokenizerJson = Buffer.from(goldenText("text/models/bytelevel.tokenizer.json"));
const files = { tokenizerJson, tokenizerConfig: Buffer.from("{}") };
const limits = { secondsMax: 20, waitingMax: 3, idleSecondsMax: 0.05 };

describe("long texts", () => {
  it("give the ids that they give at once, in order, while other work goes on", async () => {
    const long = new LongTexts(files, limits);
    const tokenizer = atOnce(Tokenizer.of(tokenizerJson, new Map()));
    const texts = ["hello world ".repeat(20_000), "a\ud800b", ""];
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    const ids = await Promise.all(texts.map((text) => long.encode(text)));
    clearInterval(ticking);
    expect(ids).toEqual(texts.map((text) => tokenizer.encode(text)));
    expect(turns).toBeGreaterThan(5);
  });

  it("are refused when too many wait, and taken again afterwards", async () => {
    const long = new LongTexts(files, limits);
    const [first, ...rest] = Array.from({ length: 4 }, () => long.encode("x"));
    await expect(rest.at(-1)).rejects.toMatchObject({ code: "overloaded" });
    await Promise.all([first, ...rest.slice(0, -1)]);
    await expect(long.encode("x")).resolves.toHaveLength(1);
  });

  it("that take too long are refused one by one", async () => {
    const long = new LongTexts(files, { ...limits, secondsMax: 0.001 });
    const refusal = { code: "invalid_request", message: expect.stringMatching(/seconds/) };
    const outcomes = await Promise.allSettled([long.encode("x".repeat(1_000_000)), long.encode("x".repeat(1_000_000))]);
    expect(outcomes).toEqual([
      { status: "rejected", reason: expect.objectContaining(refusal) },
      { status: "rejected", reason: expect.objectContaining(refusal) },
    ]);
  });

  it("fail when the thread does, each with a thread of its own", async () => {
    const long = new LongTexts({ ...files, tokenizerJson: Buffer.from("{") }, limits);
    await expect(long.encode("x")).rejects.toMatchObject({ code: "internal" });
    await expect(long.encode("x")).rejects.toMatchObject({ code: "internal" });
  });

  it("let the thread go when none come", async () => {
    const long = new LongTexts(files, limits);
    await long.encode("x");
    await new Promise((resolve) => setTimeout(resolve, 200));
    await expect(long.encode("x")).resolves.toHaveLength(1);
  });
});
