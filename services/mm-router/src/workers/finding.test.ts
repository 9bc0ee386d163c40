import { type CardEntry, cardKey, decodeModelCard, type EndpointAddress, type ModelCard, stringifyJson } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { idOf, keepingLog, silentLog } from "../testing.ts";
import { BlockSizes } from "./block-sizes.ts";
import { CardBook } from "./card-book.ts";
import { findWorkers } from "./find-workers.ts";

const wanted: EndpointAddress = { namespace: "default", component: "trtllm", endpoint: "generate" };
const question = { wanted, ownComponent: "mm_router", modelName: "m", modelSources: [] };
const baseCard: CardEntry["card"] = decodeModelCard(golden<{ base: ModelCard }>("wire/card-acceptance.json").base);

function put(cards: CardBook, component: string, n: number): void {
  cards.put(cardKey({ ...wanted, component }, idOf(n)), stringifyJson({ card_json: { ...baseCard, display_name: "m__internal" } }));
}

describe("findWorkers", () => {
  it("waits, says so once, and takes the default component when it comes", async () => {
    const log = keepingLog();
    const cards = new CardBook(silentLog);
    const found = findWorkers(cards, question, log, new AbortController().signal);
    put(cards, "mm_router", 1);
    put(cards, "trtllm", 2);
    expect(await found).toEqual(wanted);
    expect(log.lines.map(({ msg }) => msg)).toEqual(["waiting for workers"]);
  });

  it("takes another component that serves the model, and says which", async () => {
    const log = keepingLog();
    const cards = new CardBook(silentLog);
    put(cards, "backend", 1);
    expect(await findWorkers(cards, question, log, new AbortController().signal)).toEqual({ ...wanted, component: "backend" });
    expect(log.lines[0]).toMatchObject({ level: "warn", facts: { wanted: "trtllm", component: "backend" } });
  });

  it("waits while two components serve the model, names both, and ends when one is left", async () => {
    const log = keepingLog();
    const cards = new CardBook(silentLog);
    put(cards, "a", 1);
    put(cards, "b", 2);
    const found = findWorkers(cards, question, log, new AbortController().signal);
    await new Promise(setImmediate);
    expect(log.lines).toMatchObject([{ level: "warn", facts: { components: ["a", "b"] } }]);
    cards.delete(cardKey({ ...wanted, component: "a" }, idOf(1)));
    expect((await found).component).toBe("b");
  });

  it("gives up when the process is told to stop", async () => {
    const stop = new AbortController();
    const found = findWorkers(new CardBook(silentLog), question, silentLog, stop.signal);
    stop.abort(new Error("told to stop"));
    await expect(found).rejects.toThrow("told to stop");
  });
});

describe("BlockSizes", () => {
  it("warns once per wrong size", () => {
    const log = keepingLog();
    const sizes = new BlockSizes(32, log);
    for (const blockSize of [32, 64, 64, 16]) sizes.look({ blockSize });
    expect(log.lines.map(({ facts }) => facts["theirs"])).toEqual([64, 16]);
  });

  it("asks for one worker of our size, with the remedy when there is none", () => {
    const sizes = new BlockSizes(32, silentLog);
    sizes.requireOne([{ blockSize: 64 }, { blockSize: 32 }]);
    expect(() => sizes.requireOne([{ blockSize: 64 }])).toThrow(
      "the workers' block size is 64, ours 32: start mm-router with --block-size 64",
    );
    expect(() => sizes.requireOne([{ blockSize: 64 }])).toThrow(expect.objectContaining({ code: "configuration" }));
  });
});
