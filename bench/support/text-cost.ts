// Tokenizing and rendering alone: our text side in this process, Hugging Face tokenizers and jinja2 beside it (text-cost.py).
import assert from "node:assert";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { readTextModel } from "@mm-router/frontend";
import { ensureRelease } from "@mm-router/testkit";
import { pieceOf, type TextKind } from "./prose.ts";

const kinds: readonly TextKind[] = ["prose", "code"];
/** Characters; some 2 000 tokens. */
const textLength = 8_000;
const textCount = 150;
const renderings = 3_000;

interface PythonCost {
  readonly encode: Record<TextKind, { readonly us: number; readonly ids: number }>;
  readonly render_us: number;
}

type Row = Record<string, string | number>;

/** Rows of a table; each says what was done, and what it cost ours and Python's. */
export async function textCosts(modelFolder: string): Promise<Row[]> {
  const model = await readTextModel(modelFolder);
  const texts = Object.fromEntries(kinds.map((kind) => [kind, Array.from({ length: textCount }, () => pieceOf(kind, textLength))]));
  const conversation = Array.from({ length: 20 }, (_, turn) => ({
    role: turn % 2 === 0 ? "user" : "assistant",
    content: pieceOf("prose", 200),
  }));
  const python = await pythonCost({ folder: modelFolder, texts, conversation });
  const rows = kinds.map((kind): Row => {
    model.encode(texts[kind]![0]!); // both sides have seen one text before
    let ids = 0;
    const us = cpuUs(() => {
      for (const text of texts[kind]!) ids += model.encode(text).length;
    });
    const theirs = python.encode[kind];
    assert.equal(ids, theirs.ids);
    return row(`encode 1 000 tokens of ${kind}`, (us * 1000) / ids, (theirs.us * 1000) / theirs.ids);
  });
  const messages = conversation.map((message) => new Map(Object.entries(message)));
  const render = (): void => {
    for (let n = 0; n < renderings; n++) model.render({ messages });
  };
  render(); // V8 compiles what is used; a service runs for weeks
  const renderUs = cpuUs(render);
  return [...rows, row("render 20 turns", renderUs / renderings, python.render_us)];
}

const row = (what: string, ours: number, theirs: number): Row => ({
  what,
  "ours µs": ours.toFixed(0),
  "tokenizers, jinja2 µs": theirs.toFixed(0),
  "× theirs": (ours / theirs).toFixed(2),
});

function cpuUs(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}

async function pythonCost(job: object): Promise<PythonCost> {
  const python = await ensureRelease("1.6.1", () => {});
  const child = execFile(python, [join(import.meta.dirname, "text-cost.py")]);
  child.stdin!.end(JSON.stringify(job));
  return JSON.parse(await text(child.stdout!)) as PythonCost;
}
