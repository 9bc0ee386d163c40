import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { resolveModel } from "./resolve-model.ts";

const id = "Qwen/Qwen2-VL-2B-Instruct";
const commit = "895c3a49bc3fa70a340399125c650a463535e71c";
const files: Readonly<Record<string, string>> = {
  "config.json": '{"model_type":"qwen2_vl"}',
  "tokenizer.json": '{"model":{}}',
  "tokenizer_config.json": "{}",
  "chat_template.jinja": "{{ messages }}",
};
const unwanted = ["model-00001-of-00002.safetensors", "model.safetensors.index.json", "README.md", "onnx/config.json", ".gitattributes"];

/** As the real hub: small files with git's blob id, tokenizer.json from another host with its sha256. */
class FakeHub {
  readonly requests: string[] = [];
  readonly logins: (string | undefined)[] = [];
  /** Answers instead of the hub's own, by path; taken away by one use. */
  readonly faults = new Map<string, (response: ServerResponse) => void>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url!;
    this.requests.push(path);
    this.logins.push(request.headers.authorization);
    const fault = this.faults.get(path);
    this.faults.delete(path);
    if (fault !== undefined) return fault(response);
    if (path === `/api/models/${id}/revision/main`) {
      const siblings = [...unwanted, ...Object.keys(files)].map((rfilename) => ({ rfilename }));
      return void response.end(JSON.stringify({ id, sha: commit, siblings }));
    }
    if (path === "/cdn/tokenizer") return void response.writeHead(200, { etag: '"of-the-store"' }).end(files["tokenizer.json"]);
    const content = files[path.split(`/${id}/resolve/${commit}/`)[1] ?? ""];
    if (content === undefined) return void response.writeHead(404).end();
    const sha256 = createHash("sha256").update(content).digest("hex");
    const away = { location: this.url.replace("127.0.0.1", "localhost") + "/cdn/tokenizer", "x-linked-etag": `"${sha256}"` };
    if (path.endsWith("tokenizer.json")) return void response.writeHead(302, away).end();
    const blobId = createHash("sha1")
      .update(`blob ${Buffer.byteLength(content)}\0${content}`)
      .digest("hex");
    response.writeHead(200, { etag: `W/"${blobId}"` }).end(content);
  }
}

let root: string;
let hub: FakeHub;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "resolve-model-"));
  hub = new FakeHub();
  await hub.listen();
});
afterEach(async () => {
  await hub.close();
  await rm(root, { recursive: true });
});

const environment = (more: Readonly<Record<string, string>> = {}) => ({ HF_HOME: join(root, "hf"), HF_ENDPOINT: hub.url, ...more });
const cacheRoot = () => join(root, "hf", "hub", "models--Qwen--Qwen2-VL-2B-Instruct");

async function folderWith(path: string, names: readonly string[]): Promise<string> {
  await mkdir(path, { recursive: true });
  for (const name of names) await writeFile(join(path, name), files[name] ?? "");
  return path;
}

describe("a local folder", () => {
  it("is taken before anything else is asked", async () => {
    const path = await folderWith(join(root, "model"), ["config.json", "tokenizer.json"]);
    expect(await resolveModel(path, { environment: environment() })).toEqual({ path, source: "folder" });
    expect(hub.requests).toEqual([]);
  });

  it("is refused with the file that it lacks", async () => {
    const path = await folderWith(join(root, "model"), ["config.json"]);
    await expect(resolveModel(path, { environment: environment() })).rejects.toMatchObject({
      code: "configuration",
      message: `the model folder ${path} has no tokenizer.json`,
    });
  });

  it.each(["/no/such/folder", "./model", "a/b/c", "../x", "a--b", ""])(
    "is not looked for on the hub when it is no hub id: %j",
    async (path) => {
      await expect(resolveModel(path, { environment: environment() })).rejects.toMatchObject({
        code: "configuration",
        message: `there is no model folder ${path}`,
      });
      expect(hub.requests).toEqual([]);
    },
  );
});

describe("the Hugging Face cache", () => {
  /** As huggingface_hub leaves it: blobs, and links to them in the snapshot. */
  async function pythonsCache(names: readonly string[]): Promise<string> {
    const snapshot = join(cacheRoot(), "snapshots", commit);
    await folderWith(join(cacheRoot(), "blobs"), names);
    await mkdir(snapshot, { recursive: true });
    for (const name of names) await symlink(join("..", "..", "blobs", name), join(snapshot, name));
    await mkdir(join(cacheRoot(), "refs"));
    await writeFile(join(cacheRoot(), "refs", "main"), commit);
    return snapshot;
  }

  it("is taken before the hub is asked, also offline", async () => {
    const path = await pythonsCache(["config.json", "tokenizer.json"]);
    expect(await resolveModel(id, { environment: environment({ HF_HUB_OFFLINE: "1" }) })).toEqual({ path, source: "cache" });
    expect(await resolveModel(id, { environment: environment() })).toEqual({ path, source: "cache" });
    expect(hub.requests).toEqual([]);
  });

  it("is looked for where HF_HUB_CACHE or XDG_CACHE_HOME say", async () => {
    const path = await pythonsCache(["config.json", "tokenizer.json"]);
    const offline = { HF_HUB_OFFLINE: "1" };
    expect(await resolveModel(id, { environment: { ...offline, HF_HUB_CACHE: join(root, "hf", "hub") } })).toMatchObject({ path });
    await mkdir(join(root, "xdg"));
    await symlink(join(root, "hf"), join(root, "xdg", "huggingface"));
    expect(await resolveModel(id, { environment: { ...offline, XDG_CACHE_HOME: join(root, "xdg") } })).toMatchObject({ source: "cache" });
  });

  it("is completed from the hub when it holds a part only", async () => {
    const path = await pythonsCache(["config.json"]);
    expect(await resolveModel(id, { environment: environment() })).toEqual({ path, source: "hub" });
    expect(await readFile(join(path, "tokenizer.json"), "utf8")).toBe(files["tokenizer.json"]);
  });
});

describe("the hub", () => {
  it("gives config and tokenizer files, no weights, laid out as huggingface_hub reads them", async () => {
    const { path, source } = await resolveModel(id, { environment: environment() });
    expect(source).toBe("hub");
    expect(path).toBe(join(cacheRoot(), "snapshots", commit));
    expect((await readdir(path)).toSorted()).toEqual(Object.keys(files).toSorted());
    for (const [name, content] of Object.entries(files)) expect(await readFile(join(path, name), "utf8")).toBe(content);
    expect(await readlink(join(path, "config.json"))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/);
    expect(await readlink(join(path, "tokenizer.json"))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/);
    expect(await readFile(join(cacheRoot(), "refs", "main"), "utf8")).toBe(commit);
    expect(hub.requests.filter((path) => unwanted.some((name) => path.endsWith(name)))).toEqual([]);
  });

  it("is asked once: the second time the cache answers", async () => {
    const first = await resolveModel(id, { environment: environment() });
    const requests = hub.requests.length;
    expect(await resolveModel(id, { environment: environment() })).toEqual({ path: first.path, source: "cache" });
    expect(hub.requests).toHaveLength(requests);
  });

  it("is shown the token, but the host it redirects to is not", async () => {
    await resolveModel(id, { environment: environment({ HF_TOKEN: "hf_secret" }) });
    const seen = Object.fromEntries(hub.requests.map((path, at) => [path, hub.logins[at]]));
    expect(seen[`/${id}/resolve/${commit}/tokenizer.json`]).toBe("Bearer hf_secret");
    expect(seen["/cdn/tokenizer"]).toBeUndefined();
  });

  it("is asked again after a passing trouble", async () => {
    hub.faults.set(`/${id}/resolve/${commit}/config.json`, (response) => response.writeHead(503).end());
    hub.faults.set(`/api/models/${id}/revision/main`, (response) => response.destroy());
    expect(await resolveModel(id, { environment: environment() })).toMatchObject({ source: "hub" });
  });

  it("leaves nothing that looks like a model when a file arrives damaged", async () => {
    hub.faults.set(`/${id}/resolve/${commit}/tokenizer_config.json`, (response) =>
      response.writeHead(200, { etag: `"${"0".repeat(40)}"` }).end("{}"),
    );
    await expect(resolveModel(id, { environment: environment() })).rejects.toThrow("tokenizer_config.json arrived damaged");
    await expect(resolveModel(id, { environment: environment({ HF_HUB_OFFLINE: "1" }) })).rejects.toMatchObject({
      code: "dependency_unreachable",
    });
    expect(await resolveModel(id, { environment: environment() })).toMatchObject({ source: "hub" });
  });

  it("is not asked when HF_HUB_OFFLINE says so, and the sentence says where was looked", async () => {
    await expect(resolveModel(id, { environment: environment({ HF_HUB_OFFLINE: "1" }) })).rejects.toMatchObject({
      code: "dependency_unreachable",
      message: `model ${id} is neither a folder nor in ${join(root, "hf", "hub")}, and HF_HUB_OFFLINE forbids asking the hub`,
    });
    expect(hub.requests).toEqual([]);
  });

  it("tells a model that it does not have from one that needs a login", async () => {
    await expect(resolveModel("Qwen/none", { environment: environment() })).rejects.toMatchObject({
      code: "configuration",
      message: `${hub.url} has no model Qwen/none; if it is private or gated, set HF_TOKEN (status 404)`,
    });
  });

  it("is named when it does not answer", async () => {
    const nobody = { ...environment(), HF_ENDPOINT: "http://127.0.0.1:9" };
    await expect(resolveModel(id, { environment: nobody })).rejects.toMatchObject({
      code: "dependency_unreachable",
      message: expect.stringContaining("the model hub http://127.0.0.1:9 does not answer"),
    });
  });

  it("is left alone as soon as the signal aborts", async () => {
    const abort = new AbortController();
    hub.faults.set(`/api/models/${id}/revision/main`, () => abort.abort()); // and never answers
    await expect(resolveModel(id, { environment: environment(), signal: abort.signal })).rejects.toMatchObject({
      code: "dependency_unreachable",
    });
  });

  it("is reached through the proxy that the environment names", async () => {
    const proxied = { ...environment(), HTTP_PROXY: "http://127.0.0.1:9" };
    await expect(resolveModel(id, { environment: proxied })).rejects.toMatchObject({ code: "dependency_unreachable" });
    expect(hub.requests).toEqual([]);
    expect(await resolveModel(id, { environment: { ...proxied, NO_PROXY: "127.0.0.1,localhost" } })).toMatchObject({ source: "hub" });
  });
});
