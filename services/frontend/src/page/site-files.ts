// The page's own files, read once at the start: what is served is what is in site/, and nothing else of the disk.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";

export interface SiteFile {
  readonly bytes: Buffer;
  readonly contentType: string;
  readonly etag: string;
}

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

const folder = join(import.meta.dirname, "..", "..", "site");

/** By file name. */
export function readSiteFiles(): ReadonlyMap<string, SiteFile> {
  const names = readdirSync(folder).filter((name) => extname(name) in contentTypes);
  return new Map(names.map((name) => [name, siteFile(name)]));
}

function siteFile(name: string): SiteFile {
  const bytes = readFileSync(join(folder, name));
  const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
  return { bytes, contentType: contentTypes[extname(name)]!, etag };
}
