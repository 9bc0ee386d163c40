import { type LosslessJson, parseJson, parseJsonLossless, stringifyJson } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { parseChatRequest } from "./chat-request.ts";
import { mediaReferences } from "./media.ts";

const limits = { imagesMax: 3, promptsMax: 1, dataUrlLengthMax: 64, allowInternalUrls: false };
const image = (url: string, more: object = {}) => ({ type: "image_url", image_url: { url }, ...more });

function media(messages: unknown, changes: Partial<typeof limits> = {}) {
  const request = parseChatRequest(parseJsonLossless(JSON.stringify({ model: "m", messages })));
  return mediaReferences(request.members.messages, { ...limits, ...changes });
}

const plain = (value: LosslessJson | readonly LosslessJson[] | undefined) => value && parseJson(stringifyJson(value));

describe("media of a chat", () => {
  it("are taken in message order, each kind by itself", () => {
    const found = media([
      {
        role: "user",
        content: [
          image("https://a.example/1.png"),
          { type: "text", text: "x" },
          { type: "video_url", video_url: { url: "https://a.example/v" } },
        ],
      },
      { role: "assistant", content: "ok" },
      { role: "user", content: [image("https://a.example/2.png")] },
    ]);
    expect(plain(found!.data)).toEqual({
      image_url: [{ Url: "https://a.example/1.png" }, { Url: "https://a.example/2.png" }],
      video_url: [{ Url: "https://a.example/v" }],
    });
    expect(found!.imageUrls).toEqual(["https://a.example/1.png", "https://a.example/2.png"]);
  });

  it("leave the messages with data: URLs blanked and the others as they are", () => {
    const found = media([{ role: "user", content: [image("data:image/png;base64,AA=="), image("https://a.example/2.png")] }]);
    const urls = (plain(found!.messages) as { content: { image_url: { url: string } }[] }[])[0]!.content.map((part) => part.image_url.url);
    expect(urls).toEqual(["", "https://a.example/2.png"]);
  });

  it("give uuids only of kinds that have one, null where a part has none", () => {
    const found = media([{ role: "user", content: [image("https://a.example/1", { uuid: "u" }), image("https://a.example/2")] }]);
    expect(plain(found!.uuids)).toEqual({ image_url: ["u", null] });
  });

  it("are undefined for text", () => {
    expect(media([{ role: "user", content: [{ type: "text", text: "x" }] }])).toBeUndefined();
  });

  it.each([
    ["an empty url", [image("")], 400, "a part of type image_url has an empty url"],
    ["too many images", [1, 2, 3, 4].map((n) => image(`https://a.example/${n}`)), 400, "the request has 4 images, the limit is 3"],
    [
      "a long data: URL",
      [image(`data:image/png;base64,${"A".repeat(64)}`)],
      400,
      "a data: URL has 86 characters, the limit is 64 (DYN_MM_MAX_DATA_URL_MB)",
    ],
    ["an IPv4 address", [image("http://169.254.169.254/latest")], 400, "Direct IP access is not allowed: 169.254.169.254"],
    ["an address in disguise", [image("http://2130706433:80/")], 400, "Direct IP access is not allowed: 127.0.0.1"],
    ["an IPv6 address", [image("https://[::1]:8443/x")], 400, "Direct IP access is not allowed: [::1]:8443"],
    ["localhost", [image("http://localhost/x")], 400, "Direct IP access is not allowed: localhost"],
  ])("are refused for %s", (_what, content, status, message) => {
    expect(() => media([{ role: "user", content }])).toThrow(expect.objectContaining({ status, message }));
  });

  it("may name addresses when that is allowed", () => {
    expect(media([{ role: "user", content: [image("http://127.0.0.1:1/x")] }], { allowInternalUrls: true })!.imageUrls).toHaveLength(1);
  });
});
