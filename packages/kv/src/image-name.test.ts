import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { hashesOfNames, nameOfHash, urlIdentity } from "./image-name.ts";

interface FrontendCase {
  name: string;
  content: { type: string; image_url?: { url: string } | string }[];
  observed: Record<string, { mm_hashes?: string[] | null; same_as?: string }>;
}

interface PeerCase {
  case: string;
  received: { multi_modal_data: { image_url: { Url: string }[] }; extra_args: { mm_hashes?: string[] } };
}

const frontends = golden<{ cases: FrontendCase[] }>("multimodal/frontend_requests.json").cases;
const peers = golden<{ cases: PeerCase[] }>("peer/images-1.4.2.json").cases;

describe("names of images", () => {
  it("are by URL those that Dynamo's frontends give", () => {
    let names = 0;
    for (const { name, content, observed } of frontends) {
      const urls = content.flatMap(({ image_url }) => (typeof image_url === "object" ? [image_url.url] : []));
      for (const { mm_hashes } of Object.values(observed)) {
        if (mm_hashes === null || mm_hashes === undefined) continue;
        expect([name, urls.map((url) => nameOfHash(urlIdentity(url)))]).toEqual([name, mm_hashes.map((hash) => hash.slice(0, 16))]);
        names += mm_hashes.length;
      }
    }
    for (const { case: name, received } of peers) {
      const urls = received.multi_modal_data.image_url.map(({ Url }) => Url);
      expect([name, urls.map((url) => nameOfHash(urlIdentity(url)))]).toEqual([name, received.extra_args.mm_hashes]);
      names += urls.length;
    }
    expect(names).toBeGreaterThan(60);
  });

  it("are taken from the first 16 digits, as the worker's publisher takes them", () => {
    const digits = "10ee6e61b387de3b";
    expect(hashesOfNames([digits, `${digits}${"0".repeat(48)}`, digits.toUpperCase()], 3)).toEqual(new Array(3).fill(0x10ee6e61b387de3bn));
  });

  it.each([
    ["there are fewer than images", ["10ee6e61b387de3b"], 2],
    ["there are more than images", ["10ee6e61b387de3b", "10ee6e61b387de3b"], 1],
    ["one is too short", ["10ee6e61b387de3"], 1],
    ["one is no hex, which would stop the publisher", ["my-picture-of-a-cat"], 1],
    ["one looks like Python's other notations", ["0x10ee6e61b387de"], 1],
    ["there are none", undefined, 1],
  ])("are not taken when %s", (_what, names, images) => {
    expect(hashesOfNames(names, images)).toBeUndefined();
  });
});
