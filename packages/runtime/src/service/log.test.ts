import { AppError, parseJson } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { createLogger, type LogLevel, levelOf } from "./log.ts";

function capture(options: { level?: LogLevel; form?: "json" | "text" } = {}) {
  const lines: string[] = [];
  const log = createLogger({ service: "mm-router", level: "debug", ...options, destination: (line) => lines.push(line) });
  const records = () => lines.map((line) => parseJson(line) as Record<string, unknown>);
  return { log, lines, records };
}

describe("createLogger", () => {
  it("writes one JSON object a line: time, level, service, phrase, facts", () => {
    const { log, lines, records } = capture();
    log.info("request done", { isl_tokens: 812, reason: "two\nlines" });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\{"ts":"\d{4}-\d\d-\d\dT[\d:.]+Z","level":"info","service":"mm-router","msg":"request done",.*\}\n$/);
    expect(records()[0]).toMatchObject({ isl_tokens: 812, reason: "two\nlines" });
  });

  it("keeps every digit of a u64", () => {
    const { log, records } = capture();
    log.info("x", { lease: 8_328_741_188_661_731_593n });
    expect(records()[0]).toMatchObject({ lease: "8328741188661731593" });
  });

  it("is silent below its level", () => {
    const { log, records } = capture({ level: "warn" });
    log.debug("d");
    log.info("i");
    log.warn("w");
    log.error("e");
    expect(records().map(({ msg }) => msg)).toEqual(["w", "e"]);
  });

  it("gives a child the facts of its parents, its own first", () => {
    const { log, records } = capture();
    log.child({ request_id: "r1", hop: "a" }).child({ hop: "b" }).info("x", { n: 1 });
    expect(records()[0]).toMatchObject({ request_id: "r1", hop: "b", n: 1 });
  });

  it("does not let a fact take the place of level, service or phrase", () => {
    const { log, records } = capture();
    log.info("x", { level: "loud", msg: "other", service: "s", ts: 1 });
    expect(records()[0]).toMatchObject({ level: "info", msg: "x", service: "mm-router", ts: expect.any(String) });
  });

  it("tells errors with code, message and causes", () => {
    const { log, records } = capture();
    log.error("failed", { error: new AppError("worker_lost", "gone", { cause: new Error("ECONNRESET") }) });
    expect(records()[0]).toMatchObject({ error: { code: "worker_lost", message: "gone", cause: { message: "ECONNRESET" } } });
  });

  it("cuts logins out of URLs, wherever they stand", () => {
    const { log, lines } = capture();
    log.info("x", { servers: ["nats://user:hunter2@host:4222"], error: new Error("cannot reach https://u:hunter2@host/x") });
    expect(lines[0]).toContain("nats://[redacted]@host:4222");
    expect(lines[0]).not.toContain("hunter2");
  });

  it("writes for people at a terminal", () => {
    const { log, lines } = capture({ form: "text" });
    log.warn("degraded", { reason: "slow", lease: 12n, images: [1, 2] });
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} warn {2}mm-router: degraded reason=slow lease=12 images=\[1,2\]\n$/);
  });
});

describe("levelOf", () => {
  it.each([
    ["debug", "debug"],
    ["TRACE", "debug"],
    ["info,dynamo_runtime=debug", "info"],
    ["dynamo_runtime::pipeline=trace,warn", "warn"],
    ["off", "error"],
    ["dynamo=debug", "info"],
    ["verbose", "info"],
    ["constructor", "info"],
  ])("reads the filter %s as %s", (filter, level) => {
    expect(levelOf(filter)).toBe(level);
  });
});
