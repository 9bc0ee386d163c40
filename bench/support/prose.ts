// Texts as people and programs write them, none twice: pieces of this project's documents and sources.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "@mm-router/testkit";

export type TextKind = "prose" | "code";

const wholes: Readonly<Record<TextKind, string>> = {
  prose: textOf("docs", ".md"),
  code: textOf("services/frontend/src/http", ".ts") + textOf("packages/runtime/src/request-plane", ".ts"),
};

/** A piece of so many characters from somewhere inside. */
export function pieceOf(kind: TextKind, length: number): string {
  const whole = wholes[kind];
  const start = Math.floor(Math.random() * (whole.length - length));
  return whole.slice(start, start + length);
}

function textOf(folder: string, extension: string): string {
  const path = join(projectRoot, folder);
  const names = readdirSync(path).filter((name) => name.endsWith(extension));
  return names.map((name) => readFileSync(join(path, name), "utf8")).join("\n");
}
