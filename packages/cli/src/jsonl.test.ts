import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { AppError } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { type LineCommand, runJsonLines } from "./jsonl.ts";

async function run(command: LineCommand, input: string): Promise<{ output: string; failures: number }> {
  const output = new PassThrough();
  const [failures, printed] = await Promise.all([
    runJsonLines(command, { input: Readable.from([input]), output }).finally(() => output.end()),
    text(output),
  ]);
  return { output: printed, failures };
}

describe("runJsonLines", () => {
  it("answers each line in order, whatever the command's own speed", async () => {
    const slowFirst: LineCommand = async (line) => {
      if (line === 1) await new Promise((resolve) => setImmediate(resolve));
      return { line };
    };
    expect(await run(slowFirst, "1\n2\n\n3")).toEqual({ output: '{"line":1}\n{"line":2}\n{"line":3}\n', failures: 0 });
  });

  it("keeps every digit of a 64-bit integer", async () => {
    expect((await run((line) => ({ line }), "18446744073709551615\n")).output).toBe('{"line":18446744073709551615}\n');
  });

  it("puts an error in the place of a bad line and goes on", async () => {
    const odd: LineCommand = (line) => {
      if (line === 2) throw new AppError("invalid_request", "two is even");
      return { line };
    };
    const { output, failures } = await run(odd, "1\n2\n{broken\n3\n");
    const lines = output.trim().split("\n");
    expect(failures).toBe(2);
    expect(lines[0]).toBe('{"line":1}');
    expect(lines[1]).toBe('{"error":{"code":"invalid_request","message":"two is even"}}');
    expect(JSON.parse(lines[2]!)).toMatchObject({ error: { code: "protocol_error" } });
    expect(lines[3]).toBe('{"line":3}');
  });
});
