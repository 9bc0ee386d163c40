// Our prediction inside the test process, so that it can be made wrong on purpose: by one token, one hash, one dialect.
import { padValue } from "@mm-router/kv";
import type { ExplainedKind } from "@mm-router/mm-router";
import { dialectOf, type ImageDialect, type MmHash } from "@mm-router/protocol";
import { createMetrics } from "@mm-router/runtime";
import { imageMetrics } from "../../../services/mm-router/src/metrics.ts";
import {
  type Analysis,
  type AnalysisInput,
  createImageAnalyser,
  egressPolicyOf,
  type ImageAnalyser,
  imageConfigDefaults,
  ImageModel,
  readImageModel,
} from "../../../services/mm-router/src/multimodal/index.ts";
import { readRequest } from "../../../services/mm-router/src/received-request.ts";
import { routedPrompt } from "../../../services/mm-router/src/routing/routed-prompt.ts";
import type { ImageRequest } from "./image-proof.ts";

export type Fault = "count" | "hash" | "dialect";

export class Predictor implements AsyncDisposable {
  private readonly model: ImageModel;
  private readonly blockSize: number;
  private readonly analyser: ImageAnalyser;

  static async of(folder: string, blockSize: number): Promise<Predictor> {
    return new Predictor(await readImageModel(folder), blockSize);
  }

  private constructor(model: ImageModel, blockSize: number) {
    this.model = model;
    this.blockSize = blockSize;
    this.analyser = createImageAnalyser(imageConfigDefaults, {
      egress: egressPolicyOf({ DYN_MM_ALLOW_INTERNAL: "1" }),
      log: { debug: () => {} },
      metrics: imageMetrics(createMetrics({ processMetrics: false })),
    });
  }

  /** In decimal digits, for workers of an explained kind. */
  async blockHashes(request: ImageRequest, kind: ExplainedKind, fault?: Fault): Promise<string[]> {
    const imageDialect = kind.image_dialects[0] as ImageDialect;
    const dialect = dialectOf(kind.releases[0]!);
    const form = {
      // the other dialects are for workers that take names
      dialect: fault === "dialect" ? { ...dialect, readsMmHashes: true } : dialect,
      imageDialect: fault === "dialect" ? otherDialect(imageDialect) : imageDialect,
      isEagle: false,
      promptTokensMax: undefined,
    };
    const received = readRequest({ codec: "json", body: Buffer.from(JSON.stringify(request)) });
    const analyse = async (input: AnalysisInput, signal: AbortSignal) => {
      const model = fault === "count" ? oneTokenMore(input.model) : input.model;
      const analysis = await this.analyser.analyse({ ...input, model }, signal);
      return fault === "hash" ? withOtherHash(analysis) : analysis;
    };
    const deps = { analyser: { analyse }, model: this.model, blockSize: this.blockSize };
    const { blockHashes } = await routedPrompt(received, form, deps, AbortSignal.timeout(30_000));
    return Array.from(blockHashes, String);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.analyser.close();
  }
}

const otherDialect = (dialect: ImageDialect): ImageDialect => (dialect === "in-vocab" ? "pad" : "in-vocab");

/** Each image is one token longer. */
function oneTokenMore(model: ImageModel): ImageModel {
  const idLayoutOf: ImageModel["idLayoutOf"] = (layout) => {
    const ids = model.idLayoutOf(layout);
    if (ids === undefined) return undefined;
    const [first, ...rest] = ids.runs;
    return { runs: [{ ...first!, count: first!.count + 1 }, ...rest], total: ids.total + 1 };
  };
  const { modelType, family, placeholderId, imageTokenId, vocabularySize, mayChangeTokens } = model;
  return { modelType, family, placeholderId, imageTokenId, vocabularySize, mayChangeTokens, idLayoutOf } as ImageModel;
}

/** The first image's hash differs in one bit, wherever it stands: in pads or in the infos of blocks. */
function withOtherHash(analysis: Analysis): Analysis {
  const [first] = analysis.ranges;
  if (first === undefined) return analysis;
  const other = (first.mmHash ^ 1n) as MmHash;
  const routingTokens = analysis.routingTokens.map((token) => (token === padValue(first.mmHash) ? padValue(other) : token));
  const blockMmInfos = analysis.blockMmInfos?.map(
    (info) =>
      info && { mm_objects: info.mm_objects.map((object) => (object.mm_hash === first.mmHash ? { ...object, mm_hash: other } : object)) },
  );
  return { ...analysis, routingTokens, blockMmInfos };
}
