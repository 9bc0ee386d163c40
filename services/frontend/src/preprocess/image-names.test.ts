import { parseJsonLossless } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { parseChatRequest } from "./chat-request.ts";
import { imageNames } from "./image-names.ts";
import { mediaReferences } from "./media.ts";

interface FrontendCase {
  readonly name: string;
  readonly content: readonly Part[];
}
interface Part {
  readonly type: string;
  readonly image_url?: { readonly url: string };
}

const limits = { imagesMax: 9, promptsMax: 1, dataUrlLengthMax: 16 * 1024 * 1024, allowInternalUrls: false };
const { cases } = golden<{ cases: FrontendCase[] }>("multimodal/frontend_requests.json");
const picturesOf = (wanted: string) => cases.find(({ name }) => name === wanted)!.content.filter(({ type }) => type === "image_url");
const [picture] = picturesOf("one") as [Part];
const web = (url: string): Part => ({ type: "image_url", image_url: { url } });

function names(content: readonly object[], imageIdentity: "content" | "url", more: object = {}) {
  const json = JSON.stringify({ model: "m", messages: [{ role: "user", content }], ...more });
  const { members } = parseChatRequest(parseJsonLossless(json));
  return imageNames(mediaReferences(members.messages, limits), members, { ...limits, imageIdentity });
}

describe("names of a chat's pictures", () => {
  it("are of their bytes, in prompt order, where all of them came with the request", async () => {
    const content = ["one", "same_twice", "thin_10x1500"].flatMap(picturesOf);
    // the first 16 digits of Python's blake3 over each file
    expect(await names(content, "content")).toEqual(["49ff64fef23adef9", "380f38e47d792828", "380f38e47d792828", "cf93844ba09625f1"]);
  });

  it("are one for a file, however its data: URL is written", async () => {
    const url = picture.image_url!.url.replace("image/png", "image/jpeg;name=x");
    expect(await names([web(`${url}#again`)], "content")).toEqual(["49ff64fef23adef9"]);
  });

  it("are of their URLs where that is the rule, whether or not they could be read", async () => {
    const content = [web("https://a.example/1.png"), picture, web("https://a.example/2.png")];
    // Python's xxhash; the second as Dynamo's frontends name it
    expect(await names(content, "url")).toEqual(["cd443118013eafa1", "10ee6e61b387de3b", "4df6bdadf3019584"]);
  });

  it.each<[string, readonly object[], object?]>([
    ["one has to be downloaded", [picture, web("https://a.example/1.png")]],
    ["one has no readable base64", [picture, web("data:image/png;base64,!!!")]],
    ["a uuid names one, and the worker takes no other name beside it", [{ ...picture, uuid: "abc" }]],
    ["options change what a worker makes of them", [picture], { mm_processor_kwargs: { num_crops: 4 } }],
    ["there is none", [{ type: "video_url", video_url: { url: "https://a.example/v" } }]],
    ["there is text alone", [{ type: "text", text: "hi" }]],
  ])("are left to mm-router when %s", async (_what, content, more) => {
    expect(await names(content, "content", more)).toBeUndefined();
  });
});
