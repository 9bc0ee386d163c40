import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type JsonValue, parseJson, stringifyJson } from "@mm-router/protocol";
import { golden, goldenPath } from "@mm-router/testkit/golden";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as checkUrl from "./check-url.ts";
import * as expand from "./expand.ts";
import * as image from "./image.ts";
import * as imageTokens from "./image-tokens.ts";
import type { LineCommand } from "../jsonl.ts";

/** As a line goes through the tool: text in, text out, errors as errors. */
function runner(command: LineCommand): (line: object) => Promise<any> {
  return async (line) => {
    const text = stringifyJson(line);
    return parseJson(stringifyJson(await command(parseJson(text) as JsonValue, text)));
  };
}

describe("mmr image-tokens", () => {
  const run = runner(imageTokens.createCommand());

  it("answers every size of every recorded processor, and errs where the processor refuses", async () => {
    const { families } = golden("multimodal/image_tokens.json");
    const wrong: unknown[] = [];
    for (const { family, model_type, config, processor, cases } of families) {
      for (const { w, h, total, pattern, error } of cases) {
        const answer = await run({ model_type, config, processor, width: w, height: h }).catch(() => "refused");
        const expected = error === undefined ? { image_tokens: total, pattern } : "refused";
        if (stringifyJson(answer) !== stringifyJson(expected)) wrong.push([family, w, h, answer]);
      }
    }
    expect(wrong).toEqual([]);
  });

  it("says which model types it knows when asked about another", async () => {
    await expect(run({ model_type: "gpt2", width: 1, height: 1 })).rejects.toThrow(/gpt2.*qwen2_vl/);
  });

  it.each([
    [{ width: 1, height: 1 }],
    [{ model_type: "qwen2_vl", width: 0, height: 1 }],
    [{ model_type: "qwen2_vl", width: 1.5, height: 1 }],
  ])("errs on %j", async (line) => {
    await expect(run(line)).rejects.toMatchObject({ code: "protocol_error" });
  });
});

describe("mmr image", () => {
  const run = runner(image.createCommand());

  it("gives size, mode and hashes of every recorded file, and says of every refused one that it is not exact", async () => {
    const { cases } = golden("multimodal/decode.json");
    for (const { file, accepted, width, height, mode, S1_u64, S3_u64 } of cases) {
      const answer = await run({ path: goldenPath(`multimodal/files/${file}`) });
      const { S1, S3 } = answer.mm_hash;
      if (accepted)
        expect({ file, ...answer, mm_hash: { S1, S3 } }).toEqual({
          file,
          width,
          height,
          mode,
          exact: true,
          mm_hash: { S1: S1_u64, S3: S3_u64 },
        });
      else expect({ file, exact: answer.exact, S1, S3, reason: typeof answer.reason }).toEqual({ file, exact: false, reason: "string" });
    }
  });

  it("names a file alike by path, base64 and data: URL, and the URL besides", async () => {
    const { cases } = golden("peer/images-1.4.2.json");
    const url = cases.find(({ case: name }: any) => name === "img_data_png").received.multi_modal_data.image_url[0].Url;
    const base64 = url.slice(url.indexOf(",") + 1);
    const byUrl = await run({ url, model_type: "qwen2_vl" });
    expect(byUrl.mm_hash.url).toBe(BigInt("0x27cb58ef76d63d83").toString());
    expect(byUrl).toMatchObject({ width: 112, height: 84, image_tokens: 12 });
    expect((await run({ base64 })).mm_hash).toEqual({ ...byUrl.mm_hash, url: undefined });
  });

  it.each([
    [{}],
    [{ path: "a", url: "b" }],
    [{ path: "/no/such/file" }],
    [{ url: "file:///etc/passwd" }],
    [{ url: "https://127.0.0.1/a.png" }],
  ])("errs on %j", async (line) => {
    await expect(run(line)).rejects.toThrow();
  });
});

describe("mmr expand", () => {
  let model: string;
  const run = runner(expand.createCommand());

  beforeAll(async () => {
    model = await mkdtemp(join(tmpdir(), "mmr-model-"));
    await writeFile(join(model, "config.json"), '{"model_type":"qwen2_vl","image_token_id":151655,"vocab_size":151936}');
    await writeFile(join(model, "preprocessor_config.json"), '{"min_pixels":3136,"max_pixels":12845056,"patch_size":14,"merge_size":2}');
    await writeFile(join(model, "tokenizer.json"), "{}");
  });
  afterAll(() => rm(model, { recursive: true }));

  const prompt = [
    151644, 8948, 198, 2610, 525, 264, 10950, 17847, 13, 151645, 198, 151644, 872, 198, 151652, 151655, 151653, 3838, 374, 419, 30,
  ];
  const tail = [151645, 198, 151644, 77091, 198];
  const base = { token_ids: [...prompt, ...tail], block_size: 16 };

  // one_28x28_bs16 of multimodal/routing.json
  it.each([
    ["oov-s1", "9355951655210704893", 151937, "1859539007078324601"],
    ["in-vocab", "14213897885398955176", 151655, "1692185555974728351"],
    ["pad", "14213897885398955176", 1022408424, "18432556337933088540"],
  ])("expands for %s as upstream and its publishers do", async (dialect, mm_hash, standIn, blockHash) => {
    const answer = await run({ ...base, model, dialect, images: [{ width: 28, height: 28, mm_hash }] });
    const info = { mm_objects: [{ mm_hash, offsets: [] }] };
    expect(answer).toEqual({
      routing_token_ids: [...prompt.slice(0, 15), ...new Array(4).fill(standIn), ...prompt.slice(16), ...tail],
      block_mm_infos: dialect === "pad" ? [] : [info, info],
      ranges: [[15, 19]],
      block_hashes: [blockHash],
    });
  });

  it("keeps the text before the first image for none", async () => {
    const answer = await run({ ...base, model, dialect: "none", images: [{ width: 28, height: 28, mm_hash: 1 }] });
    expect(answer).toMatchObject({ routing_token_ids: prompt.slice(0, 15), ranges: [], block_hashes: [] });
  });

  it("errs when images and placeholders differ, and when the processor refuses the size", async () => {
    await expect(run({ ...base, model, dialect: "pad", images: [] })).rejects.toThrow("1 image placeholders for 0 images");
    await expect(run({ ...base, model, dialect: "pad", images: [{ width: 1, height: 300, mm_hash: 1 }] })).rejects.toThrow("200");
  });
});

describe("mmr check-url", () => {
  const run = runner(checkUrl.createCommand());

  it("gives the policy's verdict on every recorded scenario", async () => {
    const { cases } = golden("multimodal/ssrf.json");
    const wrong: unknown[] = [];
    for (const { id, url, dns, dns_at_connect, redirects, expect: expected } of cases) {
      const answer = await run({ url, world: { dns, dns_at_connect, redirects } });
      if (answer.allowed !== (expected === "allow") || (!answer.allowed && !(answer.code && answer.reason))) wrong.push([id, answer]);
    }
    expect(wrong).toEqual([]);
  });

  it("tells the addresses that were allowed", async () => {
    const world = { dns: { "a.example": ["93.184.216.34"] }, redirects: { "https://b.example": [301, "https://a.example/x"] } };
    expect(await run({ url: "https://a.example/", world })).toEqual({ allowed: true, addresses: ["93.184.216.34"] });
  });

  it("resolves no name and dials nothing where the world is silent", async () => {
    expect(await run({ url: "https://a.example/", world: {} })).toMatchObject({ allowed: false, code: "unresolvable-host" });
    expect(await run({ url: "https://8.8.8.8/", world: {} })).toEqual({ allowed: true, addresses: ["8.8.8.8"] });
  });
});
