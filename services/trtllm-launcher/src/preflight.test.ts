import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { preflight, readGpuMemory, weightsBytesOf } from "./preflight.ts";
import { readProbe } from "./installed-release.ts";

const fine = { release: { dynamo: "1.4.2", engine: "1.3.0rc22" }, passThrough: [], gpus: [], sharing: 1, groupSize: 1 };

describe("preflight", () => {
  it("finds nothing wrong with a current engine and default flags", () => {
    expect(preflight(fine)).toEqual([]);
  });

  it.each([
    ["1.2.0rc5", true],
    ["1.2.0rc6", false],
    ["1.2.0", false],
    ["1.1.0", true],
    ["1.3.0rc3", false],
    ["1.3.0rc5.post1", false],
    ["0.21.0", true],
  ])("tells whether engine %s is too old for image keys (%s)", (engine, tooOld) => {
    const findings = preflight({ ...fine, release: { dynamo: "0.7.1", engine } });
    expect(findings.map(({ severity }) => severity)).toEqual(tooOld ? ["warning"] : []);
  });

  it("refuses workers that would not take images, in both spellings", () => {
    for (const passThrough of [["--modality", "text"], ["--modality=text"]]) {
      expect(preflight({ ...fine, passThrough })).toMatchObject([
        { severity: "error", sentence: expect.stringContaining("--modality multimodal") },
      ]);
    }
    expect(preflight({ ...fine, passThrough: ["--modality", "multimodal"] })).toEqual([]);
  });

  it("refuses workers that would keep their events back", () => {
    expect(preflight({ ...fine, passThrough: ["--no-publish-kv-events"] })).toMatchObject([{ severity: "error" }]);
  });

  it("names the GPU that has too little memory, and counts the workers that share it", () => {
    const gpus = readGpuMemory("0, 24564, 24000\n1, 24564, 3000\n");
    const weightsBytes = 4 * 2 ** 30;
    expect(preflight({ ...fine, gpus, weightsBytes }).map(({ sentence }) => sentence.slice(0, 39))).toEqual([
      "GPU 1 has 3000 of 24564 MiB free, and t",
    ]);
    expect(preflight({ ...fine, gpus, weightsBytes, sharing: 5 })).toHaveLength(2);
    expect(preflight({ ...fine, gpus, weightsBytes, sharing: 5, groupSize: 10 })).toEqual([]);
  });
});

describe("weightsBytesOf", () => {
  it("sums the weight files and is undefined for a folder without any", async () => {
    const folder = mkdtempSync(join(tmpdir(), "weights-"));
    expect(await weightsBytesOf(folder)).toBeUndefined();
    writeFileSync(join(folder, "model-00001-of-00002.safetensors"), Buffer.alloc(1000));
    writeFileSync(join(folder, "model-00002-of-00002.safetensors"), Buffer.alloc(24));
    writeFileSync(join(folder, "tokenizer.json"), Buffer.alloc(5000));
    expect(await weightsBytesOf(folder)).toBe(1024);
    rmSync(folder, { recursive: true });
  });
});

describe("readProbe", () => {
  it("says what is missing and how to get it", () => {
    expect(() => readProbe("python3", '{"dynamo":null,"engine":null,"worker":false,"engineModule":false}')).toThrow(
      /no dynamo\.trtllm in python3.*DYNAMO_HOME.*ENGINE=simulated/,
    );
    expect(() => readProbe("python3", '{"dynamo":"1.4.2","engine":null,"worker":true,"engineModule":false}')).toThrow(
      /has no tensorrt_llm.*\[trtllm\]==1\.4\.2/,
    );
  });

  it("takes an engine module without package metadata", () => {
    expect(readProbe("p", '{"dynamo":"1.4.2","engine":null,"worker":true,"engineModule":true}')).toEqual({ dynamo: "1.4.2" });
  });
});
