// Config and tokenizer files of a model, asked of a hub over HTTP.
//
//   GET {endpoint}/api/models/{id}/revision/main     {"sha": commit, "siblings": [{"rfilename"}, …]}
//   GET {endpoint}/{id}/resolve/{commit}/{name}      200 the bytes, ETag: git blob id
//                                                    302 to where large files lie, X-Linked-Etag: their sha256
//
// Source: huggingface_hub, hf_api.py and file_download.py.
// I1  The token goes to the endpoint's own origin only, never to where it redirects.
// I2  Bytes are checked against their ETag where it is a digest: sha256 (large files) or git's blob id (the rest).
import { createHash } from "node:crypto";
import { AppError, parseJson } from "@mm-router/protocol";
import { type Dispatcher, EnvHttpProxyAgent, request } from "undici";
import { z } from "zod";
import { Backoff } from "../flow/backoff.ts";
import { withDeadline } from "../flow/deadline.ts";
import type { Environment } from "../service/config.ts";
import { readLimited } from "./limited-body.ts";
import type { HubOptions } from "./model-fields.ts";

/** The largest tokenizers have 34 MB (Gemma 3). */
const fileBytesMax = 128 * 1024 * 1024;
const listingBytesMax = 16 * 1024 * 1024;
const fileDeadlineMs = 120_000;
const redirectsMax = 5;
const attemptsMax = 3;

export interface HubListing {
  readonly commit: string;
  readonly names: readonly string[];
}

export interface HubFile {
  /** Safe as a file name. */
  readonly etag: string;
  readonly bytes: Buffer;
}

const listingSchema = z.looseObject({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z.array(z.looseObject({ rfilename: z.string() })),
});

interface Answer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData["headers"];
  readonly bytes: Buffer;
}

export class HubClient {
  readonly #options: HubOptions;
  readonly #dispatcher: EnvHttpProxyAgent;
  readonly #signal: AbortSignal | undefined;

  /** @param environment for `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` */
  constructor(options: HubOptions, environment: Environment, signal?: AbortSignal) {
    this.#options = options;
    this.#dispatcher = new EnvHttpProxyAgent(proxiesOf(environment));
    this.#signal = signal;
  }

  /** What `main` is now. @throws AppError `configuration` when the hub has no such model for us, `dependency_unreachable` */
  async list(id: string): Promise<HubListing> {
    const { status, bytes } = await this.#get(`${this.#options.endpoint}/api/models/${id}/revision/main`, listingBytesMax);
    if (status !== 200) throw this.#refusal(id, status);
    const listing = listingSchema.safeParse(parseJson(bytes, { bytesMax: listingBytesMax }));
    if (!listing.success) throw new AppError("protocol_error", `${this.#options.endpoint} does not answer like a model hub`);
    return { commit: listing.data.sha, names: listing.data.siblings.map(({ rfilename }) => rfilename) };
  }

  async file(id: string, commit: string, name: string): Promise<HubFile> {
    let url = new URL(`${this.#options.endpoint}/${id}/resolve/${commit}/${name}`);
    let linkedEtag: string | undefined;
    for (let redirects = 0; redirects <= redirectsMax; redirects++) {
      const { status, headers, bytes } = await this.#get(url.href, fileBytesMax);
      linkedEtag ??= etagOf(headers["x-linked-etag"]);
      if (status === 200) return checked(name, linkedEtag ?? etagOf(headers.etag), bytes);
      const location = headers.location;
      if (status < 300 || status >= 400 || typeof location !== "string") throw this.#refusal(id, status);
      url = new URL(location, url);
    }
    throw new AppError("dependency_unreachable", `${this.#options.endpoint} redirects ${name} of ${id} more than ${redirectsMax} times`);
  }

  async close(): Promise<void> {
    await this.#dispatcher.close();
  }

  /** One answer, whatever its status; tries again when there is none, or the hub is in trouble. */
  async #get(url: string, bytesMax: number): Promise<Answer> {
    const backoff = new Backoff({ firstMs: 500, maxMs: 5000 });
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await withDeadline((signal) => this.#getOnce(url, bytesMax, signal), fileDeadlineMs, `GET ${url}`, this.#signal);
        if (answer.status < 500 || attempt === attemptsMax) return answer;
      } catch (cause) {
        if (this.#signal?.aborted || attempt === attemptsMax) throw unreachable(this.#options.endpoint, cause);
      }
      await backoff.wait(this.#signal ?? new AbortController().signal);
    }
  }

  async #getOnce(url: string, bytesMax: number, signal: AbortSignal): Promise<Answer> {
    const { token, endpoint } = this.#options;
    const ours = token !== undefined && new URL(url).origin === new URL(endpoint).origin;
    const headers = { "user-agent": "mm-router", ...(ours && { authorization: `Bearer ${token}` }) };
    const { statusCode, headers: answered, body } = await request(url, { headers, dispatcher: this.#dispatcher, signal });
    return { status: statusCode, headers: answered, bytes: await readLimited(body, bytesMax, url) };
  }

  #refusal(id: string, status: number): AppError {
    const { endpoint, token } = this.#options;
    if (status >= 500) return unreachable(endpoint, new Error(`status ${status}`));
    const login = token === undefined ? "; if it is private or gated, set HF_TOKEN" : " for this HF_TOKEN";
    return new AppError("configuration", `${endpoint} has no model ${id}${login} (status ${status})`);
  }
}

function proxiesOf(environment: Environment): EnvHttpProxyAgent.Options {
  const of = (name: string): string | undefined => environment[name.toLowerCase()] || environment[name] || undefined;
  // Empty text: undici must not look into the process's environment behind our back.
  return { httpProxy: of("HTTP_PROXY") ?? "", httpsProxy: of("HTTPS_PROXY") ?? "", noProxy: of("NO_PROXY") ?? "" };
}

function unreachable(endpoint: string, cause: unknown): AppError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new AppError("dependency_unreachable", `the model hub ${endpoint} does not answer (${reason})`, { cause });
}

/** `W/"abc"`, `"abc"` → `abc`; undefined when there is none or it would not do as a file name. */
function etagOf(header: string | string[] | undefined): string | undefined {
  const etag = typeof header === "string" ? header.replace(/^W\//, "").replaceAll('"', "") : "";
  return /^[\w-]+$/.test(etag) ? etag : undefined;
}

function checked(name: string, etag: string | undefined, bytes: Buffer): HubFile {
  const digest = etag === undefined ? undefined : digestLike(etag, bytes);
  if (digest !== undefined && digest !== etag) {
    throw new AppError("dependency_unreachable", `the hub's ${name} arrived damaged: its digest is ${digest}, not ${etag}`);
  }
  return { etag: etag ?? createHash("sha256").update(bytes).digest("hex"), bytes };
}

/** The digest of the kind that the ETag is; undefined when it is none. */
function digestLike(etag: string, bytes: Buffer): string | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return createHash("sha256").update(bytes).digest("hex");
  if (/^[0-9a-f]{40}$/.test(etag)) return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  return undefined;
}
