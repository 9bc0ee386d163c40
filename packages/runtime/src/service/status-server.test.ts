import { golden } from "@mm-router/testkit/golden";
import { afterEach, describe, expect, it } from "vitest";
import { createMetrics } from "./metrics.ts";
import { type Health, type StatusServer, startStatusServer } from "./status-server.ts";

describe("the status server", () => {
  const open: StatusServer[] = [];
  const start = async (health: Health, uptimeMs = 9_899.899767): Promise<StatusServer> => {
    const metrics = createMetrics({ processMetrics: false });
    metrics.counter("seen_total", "Seen.").inc();
    const server = await startStatusServer(0, { health: () => health, metrics, uptimeMs: () => uptimeMs });
    open.push(server);
    return server;
  };
  const ready: Health = { status: "ready", endpoints: { generate: "ready" } };
  afterEach(async () => {
    for (const server of open.splice(0)) await server.close();
  });

  /** As the golden file writes an answer: status line and headers, then the body, parts separated by bars. */
  const asked = async ({ port }: StatusServer, path: string): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    const { headers } = answer;
    const head = `HTTP/1.1 ${answer.status} ${answer.statusText}|content-type: ${headers.get("content-type")}|content-length: ${headers.get("content-length")}`;
    return `${head}||${await answer.text()}`;
  };

  it("answers every route as real workers of four releases do", async () => {
    const recorded: string[] = golden("wire/service-and-status.json").status;
    expect(recorded).toHaveLength(16);
    for (const record of recorded) {
      const { path, answer, uptimeMs } = readRecord(record);
      const server = await start(ready, uptimeMs);
      expect(await asked(server, path)).toBe(answer);
    }
  });

  it("answers both probes with 503 and the same form before it is ready", async () => {
    const server = await start({ status: "notready", endpoints: { generate: "notready" } }, 1500);
    for (const path of ["/live", "/health"]) {
      expect(await asked(server, path)).toContain("HTTP/1.1 503 Service Unavailable|content-type: text/plain; charset=utf-8|");
      expect(await asked(server, path)).toContain(
        '||{"status":"notready","uptime":{"secs":1,"nanos":500000000},"endpoints":{"generate":"notready"}}',
      );
    }
  });

  it("serves the metrics in Prometheus form", async () => {
    const answer = await fetch(`http://127.0.0.1:${(await start(ready)).port}/metrics`);
    expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4");
    expect(await answer.text()).toContain("seen_total 1\n");
  });

  it("does not look at a query, and knows no other method", async () => {
    const server = await start(ready);
    expect(await asked(server, "/health?verbose=1")).toContain("200 OK");
    const answer = await fetch(`http://127.0.0.1:${server.port}/health`, { method: "POST" });
    expect([answer.status, await answer.text()]).toEqual([404, "Route not found"]);
  });

  it("says which port is taken, and which variable names it", async () => {
    const { port } = await start(ready);
    const second = startStatusServer(port, { health: () => ready, metrics: createMetrics({ processMetrics: false }) });
    await expect(second).rejects.toMatchObject({
      code: "configuration",
      message: `status port ${port} is in use by another process: choose another DYN_SYSTEM_PORT`,
    });
  });
});

/** `0 health: HTTP/1.1 200 OK|content-type: …|content-length: 89|date: …||BODY`; date and uptime differ from run to run. */
function readRecord(record: string): { path: string; answer: string; uptimeMs: number } {
  const [, name, recorded] = /^\d (\w+): (.*)$/s.exec(record)!;
  const [, secs, nanos] = /"secs":(\d+),"nanos":(\d+)/.exec(recorded!) ?? [undefined, "0", "0"];
  return { path: `/${name}`, answer: recorded!.replace(/\|date: [^|]*/, ""), uptimeMs: Number(secs) * 1000 + Number(nanos) / 1e6 };
}
