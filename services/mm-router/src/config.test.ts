import { degradeReasons } from "@mm-router/protocol";
import { createMetrics, parseConfig } from "@mm-router/runtime";
import { describe, expect, it } from "vitest";
import { downstreamAddressOf, ownAddress, routerFields, schedulerConfig } from "./config.ts";
import { imageConfigOf } from "./image-settings.ts";
import { routerMetrics } from "./metrics.ts";
import { imageConfigDefaults } from "./multimodal/index.ts";

const parsed = (argv: string[] = [], env: Record<string, string> = {}) => parseConfig(routerFields, argv, env);

describe("settings", () => {
  it("have upstream's names and defaults", () => {
    const config = parsed();
    expect(config).toMatchObject({ model: "Qwen/Qwen2-VL-2B-Instruct", modelType: "qwen2_vl", blockSize: 32, servedModelName: undefined });
    expect(ownAddress(config)).toEqual({ namespace: "default", component: "mm_router", endpoint: "generate" });
    expect(downstreamAddressOf(config)).toEqual({ namespace: "default", component: "trtllm", endpoint: "generate" });
    expect(schedulerConfig(config)).toEqual({
      overlap_score_credit: 1,
      overlap_score_credit_decay: 0,
      prefill_load_scale: 1,
      decode_active_request_weight: 0,
      router_temperature: 0,
      router_track_active_blocks: true,
      router_track_prefill_tokens: true,
      router_assume_kv_reuse: true,
      router_track_output_blocks: false,
    });
    expect(imageConfigOf(config)).toEqual(imageConfigDefaults);
    const upstream =
      "--model /m --model-type qwen2_vl --block-size 16 --namespace ns --component c --endpoint e --downstream-component d --downstream-endpoint f";
    expect(parsed(upstream.split(" "))).toMatchObject({
      model: "/m",
      blockSize: 16,
      namespace: "ns",
      component: "c",
      endpoint: "e",
      downstreamComponent: "d",
      downstreamEndpoint: "f",
    });
  });

  it("reach the choice under upstream's names", () => {
    const weights =
      "--router-kv-overlap-score-credit 0.4 --router-kv-overlap-score-weight 3 --router-kv-overlap-score-credit-decay 0.5 --router-decode-active-request-weight 2 --router-temperature 0.7";
    const switches = "--no-router-track-active-blocks --no-router-assume-kv-reuse --router-track-output-blocks";
    expect(schedulerConfig(parsed(`${weights} ${switches}`.split(" "), { DYN_ROUTER_TRACK_PREFILL_TOKENS: "false" }))).toEqual({
      overlap_score_credit: 0.4,
      prefill_load_scale: 3,
      overlap_score_credit_decay: 0.5,
      decode_active_request_weight: 2,
      router_temperature: 0.7,
      router_track_output_blocks: true,
      router_track_active_blocks: false,
      router_track_prefill_tokens: false,
      router_assume_kv_reuse: false,
    });
  });

  it("take a flag over the environment over the default", () => {
    expect(parsed(["--block-size=64"], { BLOCK_SIZE: "16" }).blockSize).toBe(64);
    expect(parsed([], { BLOCK_SIZE: "16", MMR_IMAGE_DIALECT: "pad", MMR_IMAGE_IDENTITY: "" })).toMatchObject({
      blockSize: 16,
      imageDialect: "pad",
      imageIdentity: "content",
    });
  });

  it.each([
    [["--block-size", "0"], "--block-size"],
    [["--blocksize", "32"], "did you mean --block-size"],
    [["--namespace", "A b"], "--namespace"],
    [["--image-dialect", "x"], "--image-dialect"],
  ])("refuse %j and say why", (argv, why) => {
    expect(() => parsed(argv)).toThrow(why);
  });
});

describe("metrics", () => {
  it("show every reason for degradation from the start", async () => {
    const metrics = createMetrics({ processMetrics: false });
    const counted = routerMetrics(metrics);
    counted.degraded("index-late");
    const text = await metrics.text();
    for (const reason of Object.keys(degradeReasons))
      expect(text).toContain(`mm_router_degraded_total{reason="${reason}"} ${reason === "index-late" ? 1 : 0}`);
  });
});
