// Reads the source as text and checks what no compiler checks: who imports whom, calls that must not be made, files out of step.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");
const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .trim()
  .split("\n")
  .filter((path) => existsSync(join(root, path)));
const sources = tracked.filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"));
const isTest = (path: string): boolean => /\.test\.ts$|\.suite\.ts$|\/test\/|^tests\/|^bench\/|^packages\/testkit\//.test(path);
const shipped = sources.filter((path) => /^(packages|services)\//.test(path) && !isTest(path));
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** Code without comments and without the contents of strings' escapes: good enough to look for calls. */
function codeOf(path: string): string {
  return textOf(path)
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/^\s*\/\/.*$/gm, "")
    .replace(/\s\/\/ .*$/gm, "");
}

function importsOf(path: string): string[] {
  return [...codeOf(path).matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)"([^"]+)"/g)].map((match) => match[1]!);
}

/** Which of our packages a folder may import (CONTRIBUTING.md has the same table). */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  "packages/protocol": [],
  "packages/kv": ["protocol"],
  "packages/runtime": ["protocol"],
  "packages/kv-indexer": ["protocol", "kv", "runtime"],
  "packages/cli": ["protocol", "kv", "runtime", "frontend", "mm-router", "indexer", "trtllm-launcher"],
  "services/frontend": ["protocol", "kv", "kv-indexer", "runtime"],
  "services/mm-router": ["protocol", "kv", "kv-indexer", "runtime"],
  "services/indexer": ["protocol", "kv", "kv-indexer", "runtime"],
  "services/trtllm-launcher": ["protocol", "runtime"],
};

describe("imports", () => {
  it("follow the table: layers look down, services never at each other, nothing shipped at the test kit", () => {
    const wrong = shipped.flatMap((path) => {
      const allowed = mayImport[path.split("/").slice(0, 2).join("/")]!;
      return importsOf(path)
        .filter((name) => name.startsWith("@mm-router/"))
        .filter((name) => !allowed.includes(name.split("/")[1]!))
        .map((name) => `${path} imports ${name}`);
    });
    expect(wrong).toEqual([]);
  });

  it("stay inside their package when they are relative", () => {
    const wrong = shipped.flatMap((path) => {
      const home = path.split("/").slice(0, 2).join("/");
      return importsOf(path)
        .filter((name) => name.startsWith("."))
        .filter((name) => !relative(join(root, home), resolve(root, dirname(path), name)).startsWith("src/"))
        .map((name) => `${path} imports ${name}`);
    });
    expect(wrong).toEqual([]);
  });

  it("name files that exist, with their ending", () => {
    const wrong = sources.flatMap((path) =>
      importsOf(path)
        .filter((name) => name.startsWith("."))
        .filter((name) => !existsSync(resolve(root, dirname(path), name)) || !/\.(ts|mjs|json)$/.test(name))
        .map((name) => `${path} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it("keep packages/protocol and packages/kv free of I/O", () => {
    const io = /^(node:(fs|net|http|https|tls|dgram|child_process|timers|worker_threads)|undici|etcd3|@nats-io)/;
    const wrong = shipped
      .filter((path) => /^packages\/(protocol|kv)\//.test(path))
      .flatMap((path) =>
        importsOf(path)
          .filter((name) => io.test(name))
          .map((name) => `${path} imports ${name}`),
      );
    expect(wrong).toEqual([]);
  });

  it("have sharp behind one door", () => {
    const users = shipped.filter((path) => importsOf(path).includes("sharp"));
    expect(users.length).toBeLessThanOrEqual(1);
  });
});

describe("banned", () => {
  const findings = (pattern: RegExp, paths: readonly string[]): string[] => paths.filter((path) => pattern.test(codeOf(path)));

  it("no comparison of releases outside the dialect table", () => {
    const pattern = /\b(release|version|line)\b\s*(===|!==|>=|<=|<|>)\s*["'`]\d+\.\d+/;
    expect(
      findings(
        pattern,
        shipped.filter((path) => path !== "packages/protocol/src/dialect.ts"),
      ),
    ).toEqual([]);
  });

  it("no JSON.parse where wire data is read: it damages 64-bit integers", () => {
    const wire = shipped.filter((path) =>
      /^(packages\/(protocol|kv-indexer|runtime\/src\/(discovery|request-plane|event-plane))|services\/(mm-router|indexer))\//.test(path),
    );
    expect(findings(/\bJSON\.parse\(/, wire)).toEqual([]);
  });

  it("no focused tests", () => {
    expect(findings(/\b(describe|it|test)\.only\(/, sources)).toEqual([]);
  });

  it("no environment variables read in the middle of things", () => {
    const doors = /(^|\/)(config|main|index)\.ts$|^packages\/runtime\/src\/service\/|^packages\/cli\/src\//;
    expect(
      findings(
        /\bprocess\.env\b/,
        shipped.filter((path) => !doors.test(path)),
      ),
    ).toEqual([]);
  });

  it("no timers as sleep in tests", () => {
    const tests = sources.filter((path) => path.endsWith(".test.ts"));
    expect(findings(/await (sleep|delay)\(\d{3,}/, tests)).toEqual([]);
  });
});

describe("tools", () => {
  const toolTimeoutMs = 240_000; // tsc and oxlint take 10 s each alone, and other tests run beside them
  const tool = (name: string, ...args: string[]): string => {
    const child = spawnSync(join(root, "node_modules", ".bin", name), args, { cwd: root, encoding: "utf8" });
    return child.status === 0 ? "" : `${child.stdout}${child.stderr}`;
  };

  it("tsc finds nothing", { timeout: toolTimeoutMs }, () => {
    expect(tool("tsc", "--noEmit")).toBe("");
  });

  it("tsc finds nothing in the page's script, which knows a browser and no Node", { timeout: toolTimeoutMs }, () => {
    expect(tool("tsc", "--noEmit", "-p", "services/frontend/site")).toBe("");
  });

  it("oxlint finds nothing", { timeout: toolTimeoutMs }, () => {
    expect(tool("oxlint", "--type-aware", "--deny-warnings")).toBe("");
  });

  it("biome would format nothing differently", { timeout: toolTimeoutMs }, () => {
    expect(tool("biome", "format", ".")).toBe("");
  });
});

describe("files", () => {
  it("no tracked file is larger than 1 MiB", () => {
    expect(tracked.filter((path) => statSync(join(root, path)).size > 2 ** 20)).toEqual([]);
  });

  it("no path of one machine", () => {
    const pattern = /(^|[^A-Za-z0-9_.])\/(work|farm)\/[a-z]|\/root\/\./;
    const texts = tracked.filter((path) => /\.(ts|mjs|md|json|yml|yaml|sh|py)$/.test(path) && path !== "tests/tidy.test.ts");
    expect(texts.filter((path) => pattern.test(textOf(path)))).toEqual([]);
  });

  it("README shows the two commands", () => {
    const readme = textOf("README.md");
    expect(readme).toContain("./launch.sh");
    expect(readme).toContain("npm test");
  });
});
