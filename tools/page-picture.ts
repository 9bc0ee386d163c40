// Takes the picture of the page for the docs: a small fleet under a little load, one chat with a picture sent twice.
//
//   node tools/page-picture.ts [docs/page.png] [light|dark] [width]
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { cluster, dataUrl, publicModel, solidPng } from "@mm-router/testkit";
import { freePort } from "@mm-router/runtime";
import { chromium } from "playwright-core";
import { ensureChromium } from "@mm-router/testkit/chromium";

const [target = "docs/page.png", scheme = "light", width = "1240"] = process.argv.slice(2);
const pictureBytesMax = 300_000;
/** As far as the first lines of the decisions. */
const pictureHeight = 1_860;
/** Behind its one door; here for the palette alone, which halves the file. */
const requireImages = createRequire(resolve(import.meta.dirname, "..", "services", "mm-router", "package.json"));
const sharp = requireImages("sharp") as (bytes: Buffer) => { png(options: object): { toFile(path: string): Promise<{ size: number }> } };
/** Long enough for the curves to have a shape. */
const loadMs = 20_000;
/** What the prompts share, as prompts of one deployment do. */
const system = "You are a careful assistant who describes pictures. ".repeat(30);

const adminPort = await freePort();
await using fleet = await cluster({
  workers: { count: 3, args: ["--blocks", "1200", "--token-ms", "20"] },
  indexer: true,
  routers: 2,
  routerArgs: ["--router-replica-sync"],
  frontends: ["ours"],
  environment: { MMR_ADMIN_PORT: `${adminPort}`, MMR_LIST_INTERNAL: "0" },
});

async function ask(n: number): Promise<void> {
  const picture = { type: "image_url", image_url: { url: dataUrl(solidPng(336, 336, 0x102030 * (1 + (n % 9)))) } };
  const question = { type: "text", text: `Question ${n % 12}: ${"what is there to see? ".repeat(8 + (n % 5))}` };
  const messages = [
    { role: "system", content: system },
    { role: "user", content: [picture, question] },
  ];
  const body = JSON.stringify({ model: publicModel, max_tokens: 40, messages });
  const headers = { "content-type": "application/json" };
  await (await fetch(`${fleet.frontends[0]!.url}/v1/chat/completions`, { method: "POST", headers, body })).arrayBuffer();
}

const browser = await chromium.launch({ executablePath: await ensureChromium(console.error), args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ viewport: { width: Number(width), height: 900 }, colorScheme: scheme as "light" | "dark" });
  page.on("console", (message) => console.error(message.text()));
  page.on("pageerror", (error) => console.error(error));
  await page.goto(`http://127.0.0.1:${adminPort}/`);
  const until = performance.now() + loadMs;
  const asking = Array.from({ length: 4 }, async (_, lane) => {
    for (let n = lane; performance.now() < until; n += 4) await ask(n);
  });
  await Promise.all(asking);
  await page.getByRole("button", { name: "Draw one" }).click();
  for (const _ of [1, 2]) {
    await page.getByRole("button", { name: "Send" }).click();
    await page.locator("#chat-decision .facts >> text=ended").waitFor();
  }
  await page.evaluate("scrollTo(0, 0)");
  const bytes = await page.screenshot({ fullPage: true, clip: { x: 0, y: 0, width: Number(width), height: pictureHeight } });
  const { size } = await sharp(bytes).png({ palette: true, effort: 8 }).toFile(resolve(target));
  console.log(`${target}: ${size} bytes${size > pictureBytesMax ? ", too many for the docs" : ""}`);
} finally {
  await browser.close();
}
