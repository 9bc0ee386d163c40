// JSON Lines in, JSON Lines out: same order, one output line per input line.
//
// I1  A bad line gives {"error":{"code","message"}} in its place and the run goes on.
// I2  u64 go out as decimal text and come in as text or bare integers: digits are never lost.
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { type JsonValue, parseJson, stringifyJson, toAppError } from "@mm-router/protocol";

/** Answers one line; `text` is the line as it came, where the notation of numbers counts. Throwing is an error line. */
export type LineCommand = (line: JsonValue, text: string) => object | Promise<object>;

export interface JsonLinesOptions {
  readonly input: Readable;
  readonly output: Writable;
}

/**
 * Runs a command over all lines; empty lines are passed over.
 *
 * @returns how many lines ended in an error
 */
export async function runJsonLines(command: LineCommand, { input, output }: JsonLinesOptions): Promise<number> {
  let failures = 0;
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (text.trim() === "") continue;
    const answer = await answerLine(command, text);
    if ("error" in answer) failures++;
    if (!output.write(`${stringifyJson(answer)}\n`)) await once(output, "drain");
  }
  return failures;
}

async function answerLine(command: LineCommand, text: string): Promise<object> {
  try {
    return await command(parseJson(text), text);
  } catch (thrown) {
    const error = toAppError(thrown);
    return { error: { code: error.code, message: error.message } };
  }
}
