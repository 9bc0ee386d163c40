// schemathesis on our /openapi.json: requests that fit it, and requests that do not. None is answered by a server's error.
//
//   MMR_TEST_FUZZED=10000 npm test -- --project integration services/frontend/test/openapi-fuzz.test.ts          the long form
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ensureSchemathesis } from "@mm-router/testkit/clients";
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Stack } from "./replay/stack.ts";
import { serveSteadily } from "./support/steady-worker.ts";

const run = promisify(execFile);
const fuzzed = Number(process.env["MMR_TEST_FUZZED"] ?? 300);
const models = ["test/tok", "test/hermes", "test/think", "test/vl", "test/text", "test/embed", "nobody"];

let python: string;
const needs = async (): Promise<void> => {
  await real.infra();
  python = await ensureSchemathesis((line) => console.info(`testkit: ${line}`));
};

await describeReal("requests made of our description", needs, () => {
  let stack: Stack;
  let url: string;
  const folder = mkdtempSync(join(tmpdir(), "openapi-"));

  beforeAll(async () => {
    stack = await Stack.start();
    ({ url } = await stack.frontend(["--enable-anthropic-api"], { DYN_DISABLE_FRONTEND_ADMIN_API: "1" })); // thresholds would make workers busy
    await serveSteadily(stack, url);
  }, 300_000);
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await stack?.[Symbol.asyncDispose]();
  });

  it("are answered, and not by a 5xx", { timeout: 1_800_000 }, async () => {
    const description = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: object };
    const file = join(folder, "openapi.json");
    writeFileSync(file, JSON.stringify(withModels(description)));
    const operations = Object.values(description.paths).flatMap((path) => Object.keys(path)).length;
    const args = [
      "-m",
      "schemathesis.cli",
      "run",
      file,
      "--url",
      url,
      "--checks",
      "not_a_server_error",
      "--seed",
      "7",
      "--request-timeout",
      "60",
      "--no-color",
    ];
    args.push(
      "--max-examples",
      `${Math.ceil(fuzzed / operations)}`,
      "--phases",
      "fuzzing",
      "--workers",
      "2",
      "--suppress-health-check",
      "all",
    );
    const { stdout } = await run(python, args, { cwd: folder, maxBuffer: 2 ** 26 }).catch((error: unknown) => error as { stdout: string });
    const [, made] = /(\d+) generated/.exec(stdout) ?? [];
    console.info(stdout.split("\n").slice(-20).join("\n"));
    expect(stdout).not.toMatch(/ failed|Server error|errored/);
    expect(Number(made)).toBeGreaterThan(fuzzed / 2);
  });
});

/** The description with the names of served models: a made-up one is 404 and nothing more. */
function withModels(description: object): unknown {
  return JSON.parse(JSON.stringify(description), (name, value: unknown) =>
    name === "model" && typeof value === "object" ? { enum: models } : value,
  );
}
