// The sentinel before a real worker: right predictions are seen to be right; a wrong count is found out, costs that worker's images their
// blocks and nothing else, and is forgiven after three right ones.
//
// A router counts wrong when its copy of the model's files is another one than the worker's: here one that allows fewer pixels.
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodeExplanation, explainEndpoint, type Explanation } from "@mm-router/mm-router";
import { readTextModel } from "@mm-router/frontend";
import {
  dataUrl,
  type DynamoWorker,
  metricOf,
  modelDir,
  type OurService,
  publicModel,
  solidPng,
  startOurRouter,
  waitFor,
} from "@mm-router/testkit";
import { describeProof } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Message } from "./harness/conversations.ts";
import { requestOf, usageOf } from "./harness/image-proof.ts";
import { type IndexStack, startIndexStack } from "./harness/index-stack.ts";
import { runDoctor } from "./harness/doctor.ts";
import { callInstance } from "./harness/our-client.ts";

const model = modelDir({ modelType: "qwen2_vl" });
/** Larger than 100 image tokens: what the wrong model files would shrink. */
const large = 336;
const small = 224;

interface Verdicts {
  readonly exact: number;
  readonly different: number;
  readonly unseen: number;
}

await describeProof("the sentinel before a real worker of 1.6.1", "1.6.1", () => {
  let stack: IndexStack;
  let worker: DynamoWorker;
  const started = new AsyncDisposableStack();

  beforeAll(async () => {
    stack = started.use(await startIndexStack({ release: "1.6.1", requestPlane: "nats", eventPlane: "nats" }));
    worker = await stack.worker({ modality: "multimodal" });
    await stack.indexer(worker.component);
  });
  afterAll(() => started.disposeAsync());

  async function router(component: string, folder: string): Promise<OurService> {
    const environment = { MMR_IMAGE_CHECK_INTERVAL_SECS: "0" }; // every request is looked at
    const options = { model: folder, servedName: publicModel, workers: worker.component, component, environment };
    return started.use(await startOurRouter(stack.place, options));
  }

  let colour = 0x204060;
  /** A prompt with a picture that nobody saw before. */
  async function pictureRequest(side: number): Promise<object> {
    colour += 0x010203;
    const url = dataUrl(solidPng(side, side, colour));
    const content = [
      { type: "text", text: "Look at this:" },
      { type: "image_url", image_url: { url } },
      { type: "text", text: "What is it?" },
    ] as const;
    const messages: Message[] = [{ role: "user", content }];
    return requestOf(messages, await readTextModel(model));
  }

  const ask = async ({ instanceId }: OurService, component: string, side: number): Promise<void> => {
    usageOf(await callInstance(stack.runtime, stack.place, { component, instanceId }, await pictureRequest(side)));
  };

  async function explain({ instanceId }: OurService, component: string, side: number): Promise<Explanation["kinds"][number]> {
    const target = { component, endpoint: explainEndpoint, instanceId };
    const { items, error } = await callInstance(stack.runtime, stack.place, target, await pictureRequest(side));
    if (error !== undefined) throw error;
    return decodeExplanation(items[0]).kinds[0]!;
  }

  const verdicts = async (of: OurService): Promise<Verdicts> => {
    const count = (verdict: string) => metricOf(of, "mm_router_image_predictions", { verdict });
    return { exact: await count("exact"), different: await count("different"), unseen: await count("unseen") };
  };

  /**
   * Asks until one more prompt was judged, and tells all verdicts. One whose events came later than a second after its stream, or before
   * the router heard them, is unseen: it says nothing.
   */
  async function judged(of: OurService, component: string, side: number): Promise<Omit<Verdicts, "unseen">> {
    const before = await verdicts(of);
    for (let { unseen } = before; ; unseen++) {
      await ask(of, component, side);
      const after = await waitFor({ what: "a verdict" }, async () => {
        const now = await verdicts(of);
        return now.exact + now.different + now.unseen > before.exact + before.different + unseen ? now : undefined;
      });
      if (after.unseen === unseen) return { exact: after.exact, different: after.different };
    }
  }

  it("finds right predictions right", async () => {
    const component = "right";
    const right = await router(component, model);
    for (let n = 1; n <= 4; n++) expect(await judged(right, component, large)).toEqual({ exact: n, different: 0 });
    expect(await metricOf(right, "mm_router_distrusted_workers")).toBe(0);
    expect(await explain(right, component, large)).toMatchObject({ quality: "exact", blocks: 5 });
  });

  it("finds a wrong count, routes images by their text then, and believes the worker again after three right ones", async () => {
    const component = "wrong";
    const wrong = await router(component, await wrongModel(stack.place.directory));
    expect(await judged(wrong, component, small)).toEqual({ exact: 1, different: 0 });
    expect(await judged(wrong, component, large)).toEqual({ exact: 1, different: 1 });
    expect(await metricOf(wrong, "mm_router_distrusted_workers")).toBe(1);
    const [said] = await waitFor({ what: "the router's log line" }, async () =>
      saidDifferent(wrong).length > 0 ? saidDifferent(wrong) : undefined,
    );
    expect(said).toMatchObject({ release: "1.6", image_dialect: "pad", block: expect.any(Number) });
    expect(await explain(wrong, component, large)).toMatchObject({ quality: "degraded", degraded: [{ reason: "prediction-differs" }] });
    expect(await runDoctor(stack.place, component, worker.component)).toContain(
      "1 of 2 prompts with images were published otherwise than predicted",
    );

    expect(await judged(wrong, component, large)).toEqual({ exact: 1, different: 2 }); // goes on being looked at
    for (let n = 1; n <= 3; n++) {
      expect(await metricOf(wrong, "mm_router_distrusted_workers")).toBe(1);
      expect(await judged(wrong, component, small)).toEqual({ exact: 1 + n, different: 2 });
    }
    expect(await metricOf(wrong, "mm_router_distrusted_workers")).toBe(0);
    expect(saidDifferent(wrong)).toHaveLength(1);
    expect(await explain(wrong, component, small)).toMatchObject({ quality: "exact" });
  });
});

/** The model's files with a processor that allows 100 image tokens. */
async function wrongModel(directory: string): Promise<string> {
  const folder = mkdtempSync(join(directory, "model-"));
  cpSync(model, folder, { recursive: true });
  const path = join(folder, "preprocessor_config.json");
  const processor = JSON.parse(readFileSync(path, "utf8")) as { size?: object };
  const maxPixels = 100 * 28 * 28;
  writeFileSync(
    path,
    JSON.stringify({
      ...processor,
      max_pixels: maxPixels,
      ...(processor.size && { size: { ...processor.size, longest_edge: maxPixels } }),
    }),
  );
  return folder;
}

function saidDifferent({ child }: OurService): object[] {
  const lines = child.lastLines().filter((line) => line.includes("other blocks than predicted: its images are routed by their text"));
  return lines.map((line) => JSON.parse(line) as object);
}
