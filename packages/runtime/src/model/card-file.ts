// The files that a model card names: written with their checksum, read with the checksum verified.
//
//   {"path":"/abs/file" | "http://host:port/v1/metadata/…","checksum":"blake3:<64 hex>","size":bytes}
//
// Source: cards of Dynamo 0.9.1 … 1.6.1 (golden wire/discovery.json). Workers ≥ 1.4 with a status server give URLs. Readers ≥ 1.2
// verify, so a wrong digest hides a model from them; we verify always.
import { readFile, stat } from "node:fs/promises";
import { isAbsolute, resolve } from "node:path";
import { AppError, type CardFile } from "@mm-router/protocol";
import { blake3 } from "@napi-rs/blake-hash";
import { withDeadline } from "../flow/deadline.ts";
import { readLimited, refuseAbove } from "./limited-body.ts";

/** The largest tokenizers have 34 MB (Gemma 3). */
const bytesMaxDefault = 128 * 1024 * 1024;
const deadlineMs = 30_000;

export interface ReadCardFileOptions {
  readonly signal?: AbortSignal;
  readonly bytesMax?: number;
}

/** How a card names this file. @throws AppError `dependency_unreachable` when it cannot be read */
export async function cardFileOf(path: string): Promise<CardFile> {
  const absolute = resolve(path);
  const bytes = await readLocal(absolute, bytesMaxDefault);
  return { path: absolute, checksum: checksumOf(bytes), size: bytes.length };
}

/**
 * The bytes of a card's file.
 *
 * @throws AppError `dependency_unreachable` when they cannot be had, `protocol_error` when they are too many or do not match
 */
export async function readCardFile(file: CardFile, options: ReadCardFileOptions = {}): Promise<Buffer> {
  const { signal, bytesMax = bytesMaxDefault } = options;
  const isUrl = /^https?:\/\//.test(file.path);
  if (!isUrl && !isAbsolute(file.path)) throw new AppError("protocol_error", `the card's file ${file.path} is neither a URL nor absolute`);
  const bytes = isUrl ? await download(file.path, bytesMax, signal) : await readLocal(file.path, bytesMax);
  const checksum = checksumOf(bytes);
  if (checksum !== file.checksum) {
    const details = { path: file.path, expected: file.checksum, actual: checksum };
    throw new AppError("protocol_error", `the card's file ${file.path} has not the checksum that the card says`, { details });
  }
  return bytes;
}

function checksumOf(bytes: Uint8Array): string {
  return `blake3:${blake3(bytes).toString("hex")}`;
}

async function readLocal(path: string, bytesMax: number): Promise<Buffer> {
  try {
    refuseAbove(bytesMax, (await stat(path)).size, path);
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError("dependency_unreachable", `the model file ${path} cannot be read on this host`, { cause });
  }
}

/** Straight to the worker: a proxy for the outside world does not know its address. */
async function download(url: string, bytesMax: number, parent: AbortSignal | undefined): Promise<Buffer> {
  try {
    return await withDeadline((signal) => get(url, bytesMax, signal), deadlineMs, `reading ${url}`, parent);
  } catch (cause) {
    if (cause instanceof AppError && cause.code === "protocol_error") throw cause;
    throw new AppError("dependency_unreachable", `the model file ${url} cannot be had from its worker`, { cause });
  }
}

async function get(url: string, bytesMax: number, signal: AbortSignal): Promise<Buffer> {
  const { request } = await import("undici"); // a tenth of every start, and hardly ever needed
  const { statusCode, body } = await request(url, { signal });
  if (statusCode !== 200) {
    await body.dump();
    throw new Error(`status ${statusCode}`);
  }
  return await readLimited(body, bytesMax, url);
}
