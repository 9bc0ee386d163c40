// Puts ./mmr into a few files, from which a service starts in half the time: 800 modules are found, read and linked only once.
//
//   packages/**, services/**, what they import ──▶ dist/main.mjs + one chunk per command     (native add-ons stay where they are)
//
// ./mmr runs the bundle while it is newer than every source and the sources themselves otherwise: nobody runs old code.
// B1  Chunks carry their content's hash and main.mjs is replaced last: who starts meanwhile gets the old bundle or the new one.
// B2  Chunks of earlier bundles stay for a day: a running service may still load one.
import http from "node:http";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { type Plugin, rolldown } from "rolldown";

const root = join(import.meta.dirname, "..", "..", "..");
const folder = join(root, "dist");

/** Packages around a compiled library, and undici, which does not download from a bundle. */
const unbundled = /^(sharp|zeromq|undici|@napi-rs\/blake-hash|@node-rs\/xxhash|rolldown)$/;

const dayMs = 86_400_000;

/** Writes the bundle. @throws Error when a source does not parse or an import cannot be found */
export async function bundle(): Promise<void> {
  const build = await rolldown({
    input: join(root, "packages/cli/src/main.ts"),
    platform: "node",
    plugins: [leftOut, atHome, plainHttp],
    logLevel: "warn",
    // rolldown would leave such an import to be found, or not, by whoever starts the bundle
    onLog: (level, log, handle) => handle(log.code === "UNRESOLVED_IMPORT" ? "error" : level, log),
  });
  const fresh = `main.${process.pid}.mjs`; // tests of two runs may bundle at once
  const names = { entryFileNames: fresh, chunkFileNames: "[name]-[hash].mjs" };
  const { output } = await build.write({ dir: folder, format: "esm", ...names, banner: "const bundleFolder = import.meta.dirname;" });
  await build.close();
  await rename(join(folder, fresh), join(folder, "main.mjs"));
  await removeOld(new Set(["main.mjs", ...output.map(({ fileName }) => fileName)]));
}

/** Names a package by where it lies, since `dist/` has no node_modules of its own. */
const leftOut: Plugin = {
  name: "left out of the bundle",
  async resolveId(source, importer) {
    if (!unbundled.test(source) || importer === undefined) return null;
    const found = await this.resolve(source, importer, { skipSelf: true });
    if (found === null) throw new Error(`${importer} imports ${source}, which is not installed`);
    return { id: fromBundle(found.id), external: true };
  },
};

/** Lets a module go on naming its neighbours' files: from the folder of its source, not the bundle's. A moved checkout still finds them. */
const atHome: Plugin = {
  name: "modules know their own place",
  transform(code, id) {
    if (id.includes("node_modules"))
      return /\b__dirname\b/.test(code) ? `const __dirname = bundleFolder + "/${fromBundle(dirname(id))}";${code}` : null;
    if (!code.includes("import.meta.")) return null;
    return code
      .replaceAll("import.meta.dirname", `(bundleFolder + "/${fromBundle(dirname(id))}")`)
      .replaceAll("import.meta.url", `new URL("${fromBundle(id)}", import.meta.url).href`);
  },
};

/**
 * node:http without its WebSocket, which nobody here uses: who imports the module by name gets all of its exports made, and that one
 * costs a start 45 ms (Node 24 loads its own undici for it).
 */
const plainHttp: Plugin = {
  name: "node:http without WebSocket",
  resolveId: (source) => (source === "node:http" ? "\0plain-http" : null),
  load(id) {
    if (id !== "\0plain-http") return null;
    const names = Object.entries(Object.getOwnPropertyDescriptors(http)).flatMap(([name, { value }]) =>
      value === undefined ? [] : [name],
    );
    return `const http = process.getBuiltinModule("node:http"); export default http; export const { ${names.join(", ")} } = http;`;
  },
};

function fromBundle(path: string): string {
  return relative(folder, path);
}

async function removeOld(current: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (!current.has(name) && Date.now() - (await stat(path)).mtimeMs > dayMs) await rm(path);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await bundle();
