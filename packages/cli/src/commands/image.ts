// `mmr image`: what the router sees in an image file.
//
//   {"path"|"url"|"base64":…,"model_type"?}
//     →   {"width","height","mode","exact":true|false,"reason"?,"mm_hash":{"S1","S3","content","url"?},"image_tokens"?}
//
// `exact`: the pixels, and so S1 and S3, are bit for bit the worker's. Where they are not, those two are left out and `reason` is one of
// the router's closed list; size and mode are left out where not even a header could be read.
import { readFile } from "node:fs/promises";
import { contentDigest, dataUrlPieces, isDataUrl, mmHashOf, urlIdentity } from "@mm-router/kv";
import {
  type ByteSink,
  createDownloads,
  decodeImage,
  egressPolicyOf,
  imageConfigDefaults as limits,
  pixelDigest,
  readWholeImageHeader,
} from "@mm-router/mm-router";
import { AppError, decodeAs } from "@mm-router/protocol";
import { z } from "zod";
import type { LineCommand } from "../jsonl.ts";
import { knownFamily } from "./image-tokens.ts";

export const name = "image";

export const schema = z
  .object({
    path: z.string().optional(),
    url: z.string().optional(),
    base64: z.string().optional(),
    model_type: z.string().optional(),
  })
  .refine(
    (line) => [line.path, line.url, line.base64].filter((source) => source !== undefined).length === 1,
    "one of path, url, base64 is needed",
  );
type ImageLine = z.output<typeof schema>;

export function createCommand(): LineCommand {
  const { fetcher } = createDownloads(limits, egressPolicyOf(process.env));
  return async (json) => {
    const line = decodeAs(schema, json, name);
    const collected = new Collected();
    if (line.path !== undefined) collected.take(await readFile(line.path).catch((error: unknown) => unreadable(line.path, error)));
    else if (line.base64 !== undefined) collected.take(Buffer.from(line.base64, "base64"));
    else if (line.url !== undefined && isDataUrl(line.url)) {
      for (const bytes of dataUrlPieces(line.url, limits.dataUrlBytesMax)) collected.take(bytes);
    } else await fetcher.fetch(line.url ?? "", collected, AbortSignal.timeout(limits.downloadMs));
    return described(collected.bytes(), line);
  };
}

async function described(bytes: Buffer, { url, model_type }: ImageLine): Promise<object> {
  const reading = readWholeImageHeader(bytes);
  const header = reading.kind === "header" ? reading.header : undefined;
  const outcome = await decodeImage(bytes, { pixelsMax: limits.pixelsMax, secondsMax: limits.decodeSecondsMax });
  const isExact = outcome.kind === "pixels";
  const tokens = header && model_type !== undefined ? knownFamily(model_type, {}, {}).layout(header) : undefined;
  return {
    ...(header && { width: header.width, height: header.height, mode: header.mode }),
    exact: isExact,
    ...(!isExact && { reason: outcome.reason }),
    mm_hash: {
      ...(isExact && { S1: decimal(pixelDigest("S1", outcome.image)), S3: decimal(pixelDigest("S3", outcome.image)) }),
      content: decimal(contentDigest(bytes)),
      ...(url !== undefined && { url: urlIdentity(url).toString() }),
    },
    ...(tokens?.kind === "tokens" && { image_tokens: tokens.total }),
  };
}

function decimal(digest: Buffer): string {
  return mmHashOf(digest).toString();
}

class Collected implements ByteSink {
  readonly #pieces: Buffer[] = [];

  take(bytes: Buffer): boolean {
    this.#pieces.push(bytes);
    return true;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

function unreadable(path: string | undefined, cause: unknown): never {
  throw new AppError("invalid_request", `${path} cannot be read`, { cause });
}
