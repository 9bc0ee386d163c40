import type { LosslessJson } from "@mm-router/protocol";
import { parseJsonLossless } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { startsWithImage } from "./image-urls.ts";

const image = { type: "image_url", image_url: { url: "https://a/b" } };
const text = { type: "text", text: "What is this?" };

function messagesOf(...messages: object[]): LosslessJson {
  return parseJsonLossless(JSON.stringify(messages));
}

describe("startsWithImage", () => {
  it.each([
    [true, messagesOf({ role: "user", content: [image, text] })],
    [
      true,
      messagesOf({ role: "user", content: [image, image] }, { role: "assistant", content: "A cat." }, { role: "user", content: "Sure?" }),
    ],
    [false, messagesOf({ role: "user", content: [text, image] })],
    [false, messagesOf({ role: "system", content: "Be kind." }, { role: "user", content: [image, text] })],
    [false, messagesOf({ role: "user", content: "no list" }, { role: "user", content: [image] })],
    [false, messagesOf()],
    [false, null],
  ])("%s of %j", (expected, messages) => {
    expect(startsWithImage(messages)).toBe(expected);
  });

  it("is false of every recorded image request to workers of 0.9.1, whose engines had the image at token 15 all the same", () => {
    const { chats, engine_requests: requests } = golden<{
      chats: { body: { messages: { content: unknown }[] } }[];
      engine_requests: Record<string, { op: string; mm?: [hash: string, start: number, count: number][] }[]>;
    }>("worker/mm-0.9.1.json");
    const withImages = chats.filter(({ body }) => Array.isArray(body.messages[0]?.content));
    expect(withImages.length).toBeGreaterThan(5);
    expect(withImages.filter(({ body }) => startsWithImage(messagesOf(...body.messages)))).toEqual([]);
    const starts = Object.values(requests)
      .flat()
      .flatMap(({ mm = [] }) => mm.slice(0, 1).map(([, start]) => start));
    expect(new Set(starts)).toEqual(new Set([15]));
  });
});
