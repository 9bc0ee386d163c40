import { describe, expect, it } from "vitest";
import { logRelay } from "./log-relay.ts";

function relayed(line: string, colours = false): string {
  let text = "";
  logRelay({ process: "worker-1", colours, write: (part) => (text += part) })(line);
  return text;
}

describe("logRelay", () => {
  it("names the process before each plain line and drops colours unless a terminal reads", () => {
    const line = "\u001b[2m2026-01-01T00:00:00Z\u001b[0m \u001b[32m INFO\u001b[0m dynamo: ready";
    expect(relayed(line)).toBe("[worker-1] 2026-01-01T00:00:00Z  INFO dynamo: ready\n");
    expect(relayed(line, true)).toBe(`[worker-1] ${line}\n`);
  });

  it("keeps JSON lines as JSON with the process added, digits untouched", () => {
    expect(relayed('{"id":8328741188661731592}')).toBe('{"process":"worker-1","id":8328741188661731592}\n');
    expect(JSON.parse(relayed("{}"))).toEqual({ process: "worker-1" });
  });

  it("takes a line that only looks like JSON as text", () => {
    expect(relayed("{not json}")).toBe("[worker-1] {not json}\n");
  });
});
