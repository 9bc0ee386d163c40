// The JSON body of a request: content type, size, text, in this order.
//
// Source: Dynamo 1.6.1; evidence: golden frontend raw.*. `content-encoding` is ignored, as there.
// I1  A body is read up to the limit and no further; what a client sends beyond it is dropped by the HTTP server.
// I2  Broken UTF-8 reads as U+FFFD and raw control characters inside strings are taken, as releases ≥ 1.4 do.
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { AppError, type LosslessJson, parseJsonLossless } from "@mm-router/protocol";
import { deserializeError } from "../preprocess/shape.ts";

export interface BodyLimits {
  readonly bodyMb: number;
}

/** @throws AppError `unsupported_media_type`, `body_too_large`, `invalid_request`, or `client_closed` when the client left */
export async function readJsonBody(request: IncomingMessage, limits: BodyLimits): Promise<LosslessJson> {
  if (!isJsonType(request.headers["content-type"] ?? "")) {
    throw new AppError("unsupported_media_type", "Expected request with Content-Type application/json");
  }
  return parseJsonBody(await readBytes(request, limits));
}

function isJsonType(contentType: string): boolean {
  const mime = contentType.split(";")[0]!.trim().toLowerCase();
  return mime === "application/json" || /^application\/[^/\s]+\+json$/.test(mime);
}

async function readBytes(request: IncomingMessage, { bodyMb }: BodyLimits): Promise<Buffer> {
  const bytesMax = bodyMb * 1024 * 1024;
  const tooLarge = () => new AppError("body_too_large", `Request body exceeds the limit of ${bodyMb} MB set by DYN_HTTP_BODY_LIMIT_MB`);
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    // not destroyed when the loop is left: the answer still goes out on that socket
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      length += (chunk as Buffer).length;
      if (length > bytesMax) break;
      chunks.push(chunk as Buffer);
    }
  } catch (cause) {
    throw new AppError("client_closed", "the client left while it sent its request", { cause });
  }
  if (length > bytesMax) throw tooLarge();
  return Buffer.concat(chunks, length);
}

/** @throws AppError `invalid_request` when the bytes are no JSON */
export function parseJsonBody(bytes: Buffer): LosslessJson {
  try {
    return parseText(bytes.toString("utf8"));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw deserializeError(error.message);
  }
}

function parseText(text: string): LosslessJson {
  const limits = { duplicates: "error" } as const;
  try {
    return parseJsonLossless(text, limits);
  } catch (error) {
    const offset = error instanceof AppError ? error.details["offset"] : undefined;
    if (typeof offset !== "number" || !(text.charCodeAt(offset) < 0x20)) throw error;
    return parseJsonLossless(withEscapedControls(text), limits); // I2
  }
}

/** Raw control characters inside strings, written as escapes; between tokens they stay. */
function withEscapedControls(text: string): string {
  let out = "";
  let from = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) inString = !inString;
    else if (code === 0x5c && inString) at++;
    else if (code < 0x20 && inString) {
      out += `${text.slice(from, at)}\\u${code.toString(16).padStart(4, "0")}`;
      from = at + 1;
    }
  }
  return out + text.slice(from);
}
