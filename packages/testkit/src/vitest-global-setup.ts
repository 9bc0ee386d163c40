// Installs what the project's tests need before the first of them runs, and says so: once per run, not once per test file.
//
// What cannot be installed is no error here: each suite that needs it says so itself (requires.ts).
import { bundle } from "@mm-router/cli/bundle";
import type { TestProject } from "vitest/node";
import { releasesUnderTest } from "./dynamo-release.ts";
import { ensureRelease } from "./dynamo-venv.ts";
import { binaries } from "./infra.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The project's tests start processes of real Dynamo releases. */
    meetsDynamo?: boolean;
  }
}

export async function setup(project: TestProject): Promise<void> {
  await bundle(); // services are started as users start them
  const releases = project.config.provide.meetsDynamo === true ? releasesUnderTest(process.env) : [];
  await Promise.allSettled([binaries(), ...releases.map((release) => ensureRelease(release, (line) => console.info(`testkit: ${line}`)))]);
}
