// Acceptance of whole files is in image-decode.test.ts; here what headers say before the file is complete, and multi-picture JPEGs.
import { readFileSync } from "node:fs";
import { golden, goldenPath } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readImageHeader, readWholeImageHeader } from "./image-format.ts";

interface DecodeCase {
  file: string;
  accepted: boolean;
  mode: string;
  width: number;
  height: number;
}

const { cases } = golden<{ cases: DecodeCase[] }>("multimodal/decode.json");
const accepted = cases.filter((testCase) => testCase.accepted);

function fileOf(name: string): Buffer {
  return readFileSync(goldenPath(`multimodal/files/${name}`));
}

describe("readImageHeader", () => {
  it("says of any beginning of an accepted file either its true size or that more is needed", () => {
    const wrong: unknown[] = [];
    for (const { file, width, height, mode } of accepted) {
      const bytes = fileOf(file);
      for (let length = 0; length <= bytes.length; length++) {
        const reading = readImageHeader(bytes.subarray(0, length));
        const header = reading.kind === "header" ? reading.header : undefined;
        const isTrue = header?.width === width && header.height === height && header.mode === mode;
        if (!isTrue && reading.kind !== "short") wrong.push({ file, length, reading });
      }
      expect(readImageHeader(bytes).kind).toBe("header");
    }
    expect(wrong).toEqual([]);
  });

  it("never throws and never reads outside, whatever the bytes", () => {
    const signatures = accepted.map(({ file }) => fileOf(file).subarray(0, 40));
    const mutated = fc
      .record({
        file: fc.constantFrom(...accepted),
        changes: fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 8 }),
        cut: fc.nat(900),
      })
      .map(({ file, changes, cut }) => {
        const bytes = Buffer.from(fileOf(file.file).subarray(0, cut));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        return bytes;
      });
    const invented = fc
      .record({ signature: fc.constantFrom(...signatures), rest: fc.uint8Array({ maxLength: 300 }) })
      .map(({ signature, rest }) => Buffer.concat([signature, rest]));
    fc.assert(
      fc.property(fc.oneof(mutated, invented), (bytes) => {
        const reading = readWholeImageHeader(bytes);
        if (reading.kind === "header") expect(reading.header.width * reading.header.height).toBeLessThanOrEqual(178_956_970);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["bomb_400mp.png", "undecodable"],
    ["bomb_4gp.jpg", "undecodable"],
    ["zero_width.png", "undecodable"],
    ["huge_width.png", "undecodable"],
    ["png_bad_ihdr_crc.png", "undecodable"],
    ["gif.gif", "unsupported-format"],
    ["mpo.jpg", "unsupported-format"],
    ["only_sig.png", "unsupported-format"],
    ["empty.bin", "unsupported-format"],
    ["riff_wave.webp", "unsupported-format"],
  ])("refuses %s without decoding: %s", (file, reason) => {
    expect(readWholeImageHeader(fileOf(file))).toEqual({ kind: "refused", reason });
  });
});

/** A JPEG with these segments in front of its own. */
function withSegments(...segments: [marker: number, payload: Buffer][]): Buffer {
  const jpeg = fileOf("jpg_444.jpg");
  const parts = segments.map(([marker, payload]) => {
    const head = Buffer.from([0xff, marker, 0, 0]);
    head.writeUInt16BE(payload.length + 2, 2);
    return Buffer.concat([head, payload]);
  });
  return Buffer.concat([jpeg.subarray(0, 2), ...parts, jpeg.subarray(2)]);
}

/** A Multi-Picture index of `pictures`, little-endian, with 16 bytes for each of `entries`. */
function pictureIndex(pictures: number, entries: number, dataFormat = 0): Buffer {
  const tiff = Buffer.alloc(8 + 2 + 2 * 12 + 4 + 16 * entries);
  tiff.write("II*\0", 0, "latin1");
  tiff.writeUInt32LE(8, 4);
  tiff.writeUInt16LE(2, 8);
  const field = (at: number, tag: number, type: number, count: number, value: number) => {
    tiff.writeUInt16LE(tag, at);
    tiff.writeUInt16LE(type, at + 2);
    tiff.writeUInt32LE(count, at + 4);
    tiff.writeUInt32LE(value, at + 8);
  };
  field(10, 0xb001, 4, 1, pictures);
  field(22, 0xb002, 7, 16 * entries, 38);
  for (let i = 0; i < entries; i++) tiff.writeUInt32LE(dataFormat << 24, 38 + 16 * i);
  return Buffer.concat([Buffer.from("MPF\0"), tiff]);
}

// Verdicts: Pillow 13.0.0 on the same bytes.
describe("a JPEG with a multi-picture index", () => {
  const app1 = 0xe1;
  const app2 = 0xe2;
  const ultraHdr = Buffer.from('http://ns.adobe.com/xap/1.0/\0<rdf hdrgm:Version="1.0"/>');

  it.each<[string, [number, Buffer][], string]>([
    ["of two pictures is refused", [[app2, pictureIndex(2, 2)]], "refused"],
    ["of one picture is a plain JPEG", [[app2, pictureIndex(1, 1)]], "header"],
    [
      "of two pictures with an Ultra HDR gain map is a plain JPEG",
      [
        [app1, ultraHdr],
        [app2, pictureIndex(2, 2)],
      ],
      "header",
    ],
    ["that lacks an entry is a plain JPEG", [[app2, pictureIndex(3, 2)]], "header"],
    ["of pictures that are no JPEGs is a plain JPEG", [[app2, pictureIndex(2, 2, 1)]], "header"],
    ["that is cut off is a plain JPEG", [[app2, pictureIndex(2, 2).subarray(0, 20)]], "header"],
    [
      "whose last copy names one picture is a plain JPEG",
      [
        [app2, pictureIndex(2, 2)],
        [app2, pictureIndex(1, 1)],
      ],
      "header",
    ],
  ])("%s", (_what, segments, verdict) => {
    expect(readWholeImageHeader(withSegments(...segments)).kind).toBe(verdict);
  });
});
