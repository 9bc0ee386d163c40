// The page in a real Chromium, in front of a running system: what an operator sees, does and must never be harmed by.
import { freePort } from "@mm-router/runtime";
import { publicModel, solidPng, startSimulatedProcess, waitFor } from "@mm-router/testkit";
import { ensureChromium } from "@mm-router/testkit/chromium";
import { describeReal, real } from "@mm-router/testkit/requires";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { type Chain, indexedBlocks, startChain } from "./harness/chain.ts";

/** A model's name that would do harm wherever a page took it for markup. */
const hostileName = `<img src=x onerror="document.title='hacked'">&"'</td>\u202e`;

await describeReal("the page", real.chromium, () => {
  let chain: Chain;
  let browser: Browser;
  let page: Page;
  let address: string;
  const complaints: string[] = [];
  const foreign: string[] = [];

  beforeAll(async () => {
    const adminPort = await freePort();
    address = `http://127.0.0.1:${adminPort}`;
    const environment = { MMR_ADMIN_PORT: `${adminPort}`, MMR_LIST_INTERNAL: "1" };
    [chain, browser] = await Promise.all([startChain({ workers: 2, routers: 2, environment }), launched()]);
    page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on(
      "request",
      (request) => /^(data|blob):/.test(request.url()) || request.url().startsWith(address) || foreign.push(request.url()),
    );
    await page.goto(address);
  });
  afterAll(async () => {
    await browser?.close();
    await chain?.[Symbol.asyncDispose]();
  });
  afterEach(() => {
    expect(complaints).toEqual([]);
    expect(foreign).toEqual([]);
  });

  it("shows every worker, router and indexer that runs, and the model", async () => {
    const { simulatedWorkers, routers, indexer } = chain;
    for (const { instanceId } of simulatedWorkers) await page.locator("#worker-table").getByTitle(`${instanceId}`).waitFor();
    for (const { instanceId } of [...routers, indexer]) await page.locator("#router-table").getByTitle(`${instanceId}`).waitFor();
    await page.locator("#model-table").getByText("cell/mm_router/generate").waitFor();
    await page.getByRole("status").getByText("live").waitFor();
  });

  it("sends a chat with a picture twice: the first time the picture is missed, the second time its worker has it, and the page says why", async () => {
    await page.getByLabel("Model", { exact: true }).selectOption(publicModel);
    await page.getByLabel("Tokens of the answer").fill("11");
    await page.getByLabel("Add a file").setInputFiles({ name: "green.png", mimeType: "image/png", buffer: solidPng(336, 336, 0x20a040) });
    await page.getByAltText("green.png").waitFor();

    await page.getByRole("button", { name: "Send" }).click();
    const decision = page.locator("#chat-decision .decision");
    await decision.getByText("picture 1 missed").waitFor();
    await page.locator("#chat-facts", { hasText: "0 of them from the cache" }).waitFor();
    const first = await decision.getAttribute("data-request");
    const worker = await chosenWorker();
    await waitFor({ what: "the worker's blocks in the index" }, async () => (await indexedBlocks(chain)) > 0);

    await page.getByRole("button", { name: "Send" }).click();
    await page.locator(`#chat-decision .decision:not([data-request="${first}"])`).getByText("picture 1 held").waitFor();
    expect(await chosenWorker()).toBe(worker);
    expect(await page.locator("#chat-decision .why").textContent()).toMatch(/held (\d+) of \1 blocks \(100 %\); the cheapest of 2/);
    await page.locator(`#cache-map [data-worker="${worker}"]`).waitFor();
    await page.locator("[data-hit=captured] .hit-share", { hasText: /[1-9]/ }).waitFor();
  });

  it("finds the decision of a request by its id, and says when nobody remembers one", async () => {
    const answer = await chain.openai.chat.completions
      .create({ model: publicModel, max_tokens: 3, messages: [{ role: "user", content: "why there? ".repeat(40) }] })
      .withResponse();
    const id = answer.response.headers.get("x-request-id")!;
    const field = page.getByLabel("Request id");
    await field.fill(id);
    await field.press("Enter");
    const found = page.locator(`#found .decision[data-request="${id}"]`);
    await found.getByText("ended").waitFor();
    expect(await found.locator("tbody tr.chosen").count()).toBe(1);
    expect(await found.locator("tbody tr").count()).toBe(2);

    await field.fill("<b>nobody</b>");
    await page.getByRole("button", { name: "Look up" }).click();
    await page.locator("#found code", { hasText: "<b>nobody</b>" }).waitFor();
  });

  it("keeps no prompt: what it is told of a request has none of its words", async () => {
    const told = await Promise.all(["overview", "decisions"].map((name) => fetchText(`/page/api/${name}`)));
    expect(told.join()).toContain(publicModel);
    expect(told.join()).not.toMatch(/why there|What is in this picture|base64/);
  });

  it("shows hostile names as text, and nothing of them happens", async () => {
    const options = { model: chain.model, servedName: hostileName, component: "hostile" };
    await using hostile = await startSimulatedProcess(chain.place, options);
    await page.locator("#model-table").getByText(hostileName).waitFor();
    await page.locator("#worker-table").getByTitle(`${hostile.instanceId}`).waitFor();
    expect(await page.locator("main img:not(.pictures img)").count()).toBe(0);
    expect(await page.title()).toBe("mm-router");
    await page.getByLabel("Model", { exact: true }).selectOption(hostileName);
    await page.getByLabel("Model", { exact: true }).selectOption(publicModel);
  });

  it("has room on a narrow screen and a name for every control", async () => {
    await page.setViewportSize({ width: 360, height: 700 });
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    const unnamed = await page.evaluate(
      `[...document.querySelectorAll("input, select, textarea, button")].filter((c) => !c.labels?.length && !c.textContent.trim() && !c.ariaLabel).map((c) => c.id)`,
    );
    expect(unnamed).toEqual([]);
    await page.setViewportSize({ width: 1100, height: 800 });
  });

  it("says so when the frontend is gone", async () => {
    await chain.frontend.kill();
    await page.getByRole("status").getByText("no news").waitFor();
    complaints.length = 0; // the browser tells of the refused connection
  });

  /** The whole id of who got the playground's last chat. */
  async function chosenWorker(): Promise<string | null> {
    return page.locator("#chat-decision tbody tr.chosen code").first().getAttribute("title");
  }

  async function fetchText(path: string): Promise<string> {
    return (await fetch(address + path)).text();
  }
});

async function launched(): Promise<Browser> {
  const executablePath = await ensureChromium((line) => console.info(`testkit: ${line}`));
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}
