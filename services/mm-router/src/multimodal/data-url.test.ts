import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dataUrlBytes, isDataUrl } from "./data-url.ts";
import { decodeImage } from "./image-decode.ts";
import { ImageProblem } from "./image-problem.ts";
import { contentDigest } from "./mm-hash.ts";

interface DataUrlCase {
  name: string;
  url: string;
  expect: { strict: boolean; status: number | null };
  rgb_blake3?: string;
  w?: number;
  h?: number;
}

const { cases } = golden<{ cases: DataUrlCase[] }>("multimodal/data_urls.json");
const urlBytesMax = 16 * 1024 * 1024;

async function read(url: string, limit = urlBytesMax): Promise<Buffer | string> {
  try {
    const pieces: Buffer[] = [];
    for await (const piece of dataUrlBytes(url, limit)) pieces.push(piece);
    return Buffer.concat(pieces);
  } catch (error) {
    if (error instanceof ImageProblem) return error.reason;
    throw error;
  }
}

/** The HTTP class a worker answers with, or the pixels it sees. */
async function verdict(url: string): Promise<unknown> {
  const bytes = await read(url);
  if (typeof bytes === "string") return { status: 400 };
  const outcome = await decodeImage(bytes, { pixelsMax: 1_000_000, secondsMax: 20 });
  if (outcome.kind === "refused") return { status: 415 };
  const { width, height, rgba } = outcome.image;
  return { status: null, w: width, h: height, rgb_blake3: contentDigest(rgba.filter((_, at) => at % 4 !== 3)).toString("hex") };
}

describe("dataUrlBytes", () => {
  it("agrees with workers ≥ 1.2 on every recorded URL, to the pixel", async () => {
    expect(cases.length).toBeGreaterThanOrEqual(46);
    for (const { name, url, expect: wanted, rgb_blake3, w, h } of cases) {
      const expected = wanted.strict ? { status: null, w, h, rgb_blake3 } : { status: wanted.status };
      expect({ name, is: await verdict(url) }).toEqual({ name, is: expected });
    }
  });

  it("gives back any bytes that were written as base64, however many pieces they take", async () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 98_300, max: 98_310 }).map((size) => new Uint8Array(size)),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (content) => {
        const url = `data:image/png;base64,${Buffer.from(content).toString("base64")}`;
        const bytes = await read(url);
        expect(typeof bytes !== "string" && bytes.equals(content)).toBe(true);
      }),
    );
  });

  it("refuses one character outside the alphabet, wherever it stands", async () => {
    const base64 = Buffer.from("0123456789abcdef01").toString("base64");
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: base64.length }),
        fc.constantFrom(" ", "-", "_", "%", "é", "=", "😀"),
        async (at, character) => {
          fc.pre(character !== "=" || at !== base64.length - 1); // there it would be padding
          const spoilt = base64.slice(0, at) + character + base64.slice(at + 1);
          expect(await read(`data:image/png;base64,${spoilt}`)).toBe("malformed-data-url");
        },
      ),
    );
  });

  it("takes padding at the very end only", async () => {
    const padded = `${"A".repeat(131_070)}==`; // as long as one piece
    expect(await read(`data:image/png;base64,${padded}`)).toHaveLength(98_302);
    expect(await read(`data:image/png;base64,${padded}AAAA`)).toBe("malformed-data-url");
  });

  it("counts the limit in UTF-8 bytes of the whole URL", async () => {
    const url = "data:image/é;base64,AAAA";
    expect(await read(url, 25)).toHaveLength(3);
    expect(await read(url, 24)).toBe("too-large");
  });

  it("knows a data: URL by its scheme in any case, behind blanks", () => {
    expect([" DATA:image/png,", "data:", "https://data:80/", "/data:"].map(isDataUrl)).toEqual([true, true, false, false]);
  });
});
