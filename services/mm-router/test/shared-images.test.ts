// Two replicas before the same workers: what one found out about an image the other need not, as the image server's log proves.
import { startImageServer, solidPng, type ImageServer } from "@mm-router/testkit";
import { type EtcdServer, type NatsServer, startEtcd, startNats } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fact, RouterCell, says, type StartingRouter } from "./router-cell.ts";

let servers: { nats: NatsServer; etcd: EtcdServer };

beforeAll(async () => {
  const [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
  servers = { nats, etcd };
});

afterAll(async () => {
  await Promise.all([servers?.nats.stop(), servers?.etcd.stop()]);
});

const internal = { DYN_MM_ALLOW_INTERNAL: "1", MMR_IMAGE_SHARED_DEADLINE_MS: "5000" };
const tokens = [...Array.from({ length: 40 }, (_, i) => 1000 + i), 151652, 151655, 151653, 7].join(",");
const request = (url: string) =>
  `{"token_ids":[${tokens}],"multi_modal_data":{"image_url":[{"Url":"${url}"}]},"stop_conditions":{"max_tokens":1}}`;

/** How many images a replica got from where. */
async function loadsOf({ metrics }: StartingRouter): Promise<Record<string, number>> {
  const counts = (await metrics.text()).matchAll(/mm_router_image_load_seconds_count\{from="(\w+)",outcome="ok"\} (\d+)/g);
  return Object.fromEntries(Array.from(counts, ([, from, count]) => [from, Number(count)]));
}

async function decodesOf({ metrics }: StartingRouter): Promise<number> {
  return Number(/mm_router_image_decode_seconds_count\{outcome="ok"\} (\d+)/.exec(await metrics.text())?.[1] ?? 0);
}

/** Two replicas with different models' names, so that a call goes to a certain one. */
async function twoReplicas(cell: RouterCell, environment: Record<string, string> = internal): Promise<[StartingRouter, StartingRouter]> {
  const first = await cell.router(["--component", "mm_router_a"], environment);
  const second = await cell.router(["--component", "mm_router_b"], environment);
  return [first, second];
}

/** The first replica tells until the second hears: its bucket is opened in the background. */
async function untilSharing(cell: RouterCell, images: ImageServer, [, second]: readonly [StartingRouter, StartingRouter]): Promise<void> {
  let n = 0;
  await fact(async () => {
    const url = images.put(`/sharing/${n++}`, { body: solidPng(28, 28, n) });
    await cell.explanation(request(url), "mm_router_a");
    await cell.explanation(request(url), "mm_router_b");
    return ((await loadsOf(second))["shared"] ?? 0) > 0;
  });
}

describe("two replicas", () => {
  it.each(["1.6", "1.0"])("download and decode an image once, before workers of %s", async (release) => {
    await using cell = new RouterCell(servers);
    await using images = await startImageServer();
    const worker = await cell.worker(says(1), { release });
    const replicas = await twoReplicas(cell);
    await untilSharing(cell, images, replicas);
    const before = await Promise.all(replicas.map(decodesOf));
    const url = images.put("/cat.png", { body: solidPng(336, 336, 0xff0000) });

    await cell.items(request(url), {}, "mm_router_a");
    const explained = await cell.explanation(request(url), "mm_router_a");
    expect(await cell.explanation(request(url), "mm_router_b")).toMatchObject({
      kinds: explained.kinds.map(({ block_hashes: hashes, quality }) => ({ block_hashes: hashes, quality })),
    });
    await cell.items(request(url), {}, "mm_router_b");

    expect(explained.kinds[0]).toMatchObject({ quality: "exact" });
    expect(images.requests().filter((path) => path === "/cat.png")).toHaveLength(1);
    const after = await Promise.all(replicas.map(decodesOf));
    expect(after.map((count, i) => count - before[i]!)).toEqual(release === "1.0" ? [1, 0] : [0, 0]);
    expect(new Set(worker.requests.map(({ body }) => body.toString())).size).toBe(1); // the same names, too
  });

  it("ask the image server once whether a stale image changed, and then both know", async () => {
    await using cell = new RouterCell(servers);
    await using images = await startImageServer();
    await cell.worker(says(1), { release: "1.6" });
    const replicas = await twoReplicas(cell);
    await untilSharing(cell, images, replicas);
    const url = images.put("/cat.png", { body: solidPng(336, 336, 0x00ff00), headers: { etag: '"v1"', "cache-control": "no-cache" } });
    const first = await cell.explanation(request(url), "mm_router_a");
    const second = await cell.explanation(request(url), "mm_router_b");
    expect(second.kinds[0]!.block_hashes).toEqual(first.kinds[0]!.block_hashes);
    expect(images.requests().filter((path) => path === "/cat.png")).toHaveLength(2);
    expect((await loadsOf(replicas[1]))["unchanged"]).toBe(1);
    // another file at the same place has another name
    images.put("/cat.png", { body: solidPng(336, 336, 0x0000ff), headers: { etag: '"v2"', "cache-control": "no-cache" } });
    const changed = await cell.explanation(request(url), "mm_router_b");
    expect(changed.kinds[0]!.block_hashes).not.toEqual(first.kinds[0]!.block_hashes);
  });

  it("tell each other nothing of an image that may not be kept, or when told not to share", async () => {
    await using cell = new RouterCell(servers);
    await using images = await startImageServer();
    await cell.worker(says(1), { release: "1.6" });
    const replicas = await twoReplicas(cell);
    await untilSharing(cell, images, replicas);
    const alone = await cell.router(["--component", "mm_router_c", "--no-image-sharing"], internal);
    const [secret, open] = [
      images.put("/secret.png", { body: solidPng(28, 28, 1), headers: { "cache-control": "no-store" } }),
      images.put("/open.png", { body: solidPng(28, 28, 2) }),
    ];
    for (const component of ["mm_router_a", "mm_router_b"]) await cell.explanation(request(secret), component);
    for (const component of ["mm_router_a", "mm_router_c"]) await cell.explanation(request(open), component);
    expect(images.requests().filter((path) => path === "/secret.png")).toHaveLength(2);
    expect(images.requests().filter((path) => path === "/open.png")).toHaveLength(2);
    expect(await loadsOf(alone)).toEqual({ http: 1 });
  });
});
