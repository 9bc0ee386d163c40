import { describe, expect, it } from "vitest";
import { lethalRequest } from "./lethal-request.ts";
import { readRequest } from "./received-request.ts";
import { workerOfRelease } from "./testing.ts";

const requestOf = (tokens: number, more = "") =>
  readRequest({ codec: "json", body: Buffer.from(`{"token_ids":[${Array.from({ length: tokens }, () => 7).join(",")}]${more}}`) });
const codeFor = (release: string, tokens: number, promptTokensMax?: number, more = "") =>
  lethalRequest(requestOf(tokens, more), workerOfRelease(release, 1, { promptTokensMax }))?.code;

describe("lethalRequest", () => {
  it("refuses prompts without tokens and too long ones to workers that die of them", () => {
    for (const release of ["0.9.1", "1.0.2", "1.2.1", "1.4.2", "1.5.1"]) {
      expect(codeFor(release, 0)).toBe("invalid_request");
      expect(codeFor(release, 9, 8)).toBe("context_length_exceeded");
      expect(codeFor(release, 8, 8)).toBeUndefined();
      expect(codeFor(release, 9)).toBeUndefined();
    }
  });

  it("lets a worker that lives on say it itself", () => {
    expect(codeFor("1.6.1", 0, 8)).toBeUndefined();
    expect(codeFor("1.6.1", 9, 8)).toBeUndefined();
  });

  it("leaves requests with images to the image analysis", () => {
    expect(codeFor("1.4.2", 9, 8, ',"multi_modal_data":{"image_url":[{"Url":"u"}]}')).toBeUndefined();
  });
});
