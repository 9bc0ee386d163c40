// docs/upstream-router.md against what was recorded: what our forwarded requests do not have in common with upstream's stands there.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseJson, stringifyJson } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { forwardedBody } from "./forwarded-request.ts";
import { readRequest } from "./received-request.ts";

const root = join(import.meta.dirname, "../../..");
const rows = readFileSync(join(root, "docs/upstream-router.md"), "utf8")
  .split("\n")
  .filter((line) => /^\| W\d+ \|/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, number, upstream, here, tests]) => ({ number: number!, upstream: upstream!, here: here!, tests: tests! }));

type Body = Record<string, unknown>;
interface PeerCase {
  readonly case: string;
  readonly received: Body | null;
  readonly forwarded?: Body | null;
}

const cases = ["text", "images", "errors"].flatMap((kind) =>
  ["1.0.2", "1.4.2"].flatMap((release) => golden<{ cases: PeerCase[] }>(`peer/${kind}-${release}.json`).cases),
);

/** Members in which the request that we would forward differs from the one that upstream did. */
function differences({ received, forwarded }: PeerCase): string[] {
  if (!Array.isArray(received?.["token_ids"]) || !forwarded) return []; // its worker got nothing
  const body = Buffer.from(stringifyJson(received));
  const ours = parseJson(forwardedBody(readRequest({ codec: "json", body }), { dpRank: 0 })) as Body;
  const members = [...new Set([...Object.keys(ours), ...Object.keys(forwarded)])];
  return members.filter((member) => stringifyJson(ours[member] ?? null) !== stringifyJson(forwarded[member] ?? null));
}

describe("docs/upstream-router.md", () => {
  it("has each of the 22 numbers once, with tests that exist", () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 22 }, (_, n) => `W${n + 1}`));
    const named = rows.flatMap(({ number, tests }) => Array.from(tests.matchAll(/`([^`]+)`/g), ([, path]) => ({ number, path: path! })));
    expect(new Set(named.map(({ number }) => number)).size).toBe(rows.length);
    expect(named.filter(({ path }) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("names every member that differs in the requests recorded of upstream, and names none that never does", () => {
    const differing = new Set(cases.flatMap(differences));
    const namedMembers = rows
      .filter(({ number }) => number === "W12" || number === "W13")
      .map(({ upstream }) => upstream.match(/`[a-z_]+`/g));
    expect([...differing].sort()).toEqual(
      namedMembers
        .flat()
        .map((member) => member!.replaceAll("`", ""))
        .sort(),
    );
  });
});
