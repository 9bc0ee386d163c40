// ./mmr, the script: the bundle while it is newer than all sources, else the sources.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempDisposableSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { projectRoot } from "@mm-router/testkit";
import { describe, expect, it } from "vitest";

const source = "packages/cli/src/main.ts";
const bundle = "dist/main.mjs";

describe("./mmr", () => {
  it.each([
    { what: "the bundle when it is the newest", files: { [source]: 1, [bundle]: 2 }, runs: bundle },
    { what: "the sources when one is newer", files: { [source]: 1, [bundle]: 2, "services/frontend/src/http/sse.ts": 3 }, runs: source },
    {
      what: "the bundle when only a test is newer",
      files: { [source]: 1, [bundle]: 2, "packages/cli/test/infra.test.ts": 3 },
      runs: bundle,
    },
    { what: "the sources when the packages are others", files: { [source]: 1, [bundle]: 2, "pnpm-lock.yaml": 3 }, runs: source },
    { what: "the sources where there is no bundle", files: { [source]: 1 }, runs: source },
  ])("runs $what", ({ files, runs }) => {
    using checkout = mkdtempDisposableSync(join(tmpdir(), "mmr-"));
    const write = (path: string, text: string, age?: number) => {
      const full = join(checkout.path, path);
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, text);
      if (age !== undefined) for (const at of [full, dirname(full)]) utimesSync(at, age, age);
      return full;
    };
    for (const lock of ["pnpm-lock.yaml", "node_modules/.pnpm/lock.yaml"]) write(lock, "", 1);
    chmodSync(write("node_modules/.bin/node", '#!/bin/sh\necho "$@"\n'), 0o755);
    mkdirSync(join(checkout.path, "services/frontend/src"), { recursive: true });
    utimesSync(join(checkout.path, "services/frontend/src"), 1, 1);
    for (const [path, age] of Object.entries(files)) write(path, "", age);
    copyFileSync(join(projectRoot, "mmr"), join(checkout.path, "mmr"));
    const { stdout, stderr } = spawnSync(join(checkout.path, "mmr"), ["hash", "--release", "1.6.1"], { encoding: "utf8" });
    expect(stderr).toBe("");
    expect(stdout.trim()).toMatch(new RegExp(`/${runs} hash --release 1\\.6\\.1$`));
  });
});
