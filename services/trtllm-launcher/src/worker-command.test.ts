import { dialectOf } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { has, valueOf, workerCommand } from "./worker-command.ts";

const input = (release: string, passThrough: readonly string[] = []) => ({
  dialect: dialectOf(release),
  python: "/opt/dynamo/bin/python",
  model: "Qwen/Qwen2-VL-2B-Instruct",
  servedModelName: "Qwen/Qwen2-VL-2B-Instruct__internal",
  address: { namespace: "default", component: "trtllm", endpoint: "generate" },
  blockSize: 32,
  gpus: { gpuIds: ["0", "1"] },
  systemPort: 9000,
  passThrough,
  environment: { NATS_SERVER: "nats://h:4222", DYN_REQUEST_PLANE: "nats" },
});

describe("workerCommand", () => {
  it.each([
    ["0.9.1", ["--publish-events-and-metrics"]],
    ["1.2.1", ["--publish-events-and-metrics"]],
    ["1.4.2", ["--publish-kv-events"]],
    ["1.6.1", ["--publish-kv-events", "--publish-metrics"]],
  ])("starts a %s worker with the flags that its --help lists", (release, publish) => {
    expect(workerCommand(input(release)).args).toEqual([
      ...["-m", "dynamo.trtllm", "--model-path", "Qwen/Qwen2-VL-2B-Instruct"],
      ...["--served-model-name", "Qwen/Qwen2-VL-2B-Instruct__internal"],
      ...["--endpoint", "dyn://default.trtllm.generate", "--kv-block-size", "32"],
      ...publish,
      ...["--modality", "multimodal", "--gpus-per-node", "2"],
    ]);
  });

  it("gives each worker its GPUs, its status port and its namespace", () => {
    expect(workerCommand(input("1.6.1")).environment).toEqual({
      NATS_SERVER: "nats://h:4222",
      DYN_REQUEST_PLANE: "nats",
      DYN_NAMESPACE: "default",
      DYN_SYSTEM_PORT: "9000",
      CUDA_VISIBLE_DEVICES: "0,1",
      PYTHONUNBUFFERED: "1",
    });
    expect(workerCommand(input("1.0.2")).environment).toMatchObject({
      DYN_SYSTEM_ENABLED: "true",
      DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS: '["generate"]',
    });
  });

  it("lets the user's own flags win: they come last and replace ours where both cannot stand", () => {
    const { args } = workerCommand(input("1.4.2", ["--modality=multimodal", "--gpus-per-node", "8", "--max-seq-len", "4096"]));
    expect(args.filter((argument) => argument.startsWith("--modality"))).toEqual(["--modality=multimodal"]);
    expect(args.filter((argument) => argument === "--gpus-per-node")).toHaveLength(1);
    expect(args.slice(-2)).toEqual(["--max-seq-len", "4096"]);
  });
});

describe("has, valueOf", () => {
  it("read both spellings of a flag and no other flag with the same beginning", () => {
    expect(has(["--modality-x", "a"], "--modality")).toBe(false);
    expect(has(["--modality=a"], "--modality")).toBe(true);
    expect(valueOf(["--modality", "a", "--modality=b"], "--modality")).toBe("b");
    expect(valueOf(["--other"], "--modality")).toBeUndefined();
  });
});
