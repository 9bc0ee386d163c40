import { describe, expect, it } from "vitest";
import { dataUrl, solidPng } from "./picture.ts";

describe("solidPng", () => {
  it("is the picture that the format's own documentation gives for one red pixel", () => {
    // http://www.libpng.org/pub/png/spec: signature, IHDR of 1 × 1 RGB with its CRC; the pixels are checked by a decoder in tests/swap
    const picture = solidPng(1, 1, 0xff0000);
    expect(picture.subarray(0, 33).toString("hex")).toBe("89504e470d0a1a0a0000000d49484452000000010000000108020000009077" + "53de");
    expect(picture.subarray(-12).toString("hex")).toBe("0000000049454e44ae426082");
  });
});

describe("dataUrl", () => {
  it("is what an OpenAI client sends", () => {
    expect(dataUrl(Buffer.from("hi"), "image/jpeg")).toBe("data:image/jpeg;base64,aGk=");
  });
});
