// The docs say what the code says: generated pages are in step, links lead somewhere, named tests exist.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { boardJson } from "../tools/board.ts";
import { generatedPages } from "../tools/docs.ts";

const root = resolve(import.meta.dirname, "..");
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"), { recursive: true }).map((name) => join("docs", String(name))),
].filter((name) => name.endsWith(".md"));
const textOf = (page: string): string => readFileSync(join(root, page), "utf8");

describe("docs", () => {
  it.each(Object.entries(generatedPages()))("%s is in step with the code (npm run docs)", (name, text) => {
    expect(textOf(join("docs", name))).toBe(text);
  });

  it("the Grafana board is in step with the questions that it asks (npm run docs)", () => {
    expect(textOf("deploy/observability/grafana/dashboards/mm-router.json")).toBe(boardJson());
  });

  it("link to files that exist", () => {
    const broken = pages.flatMap((page) =>
      [...textOf(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
        .map((match) => match[1]!)
        .filter((target) => !existsSync(resolve(root, dirname(page), target)))
        .map((target) => `${page} → ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it("compatibility.md names tests that exist", () => {
    const named = [...textOf("docs/compatibility.md").matchAll(/`(tests\/[\w./-]+|packages\/[\w./-]+\.ts|services\/[\w./-]+\.ts)`/g)].map(
      (match) => match[1]!,
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});
