// The page and what it asks. Read-only: nothing here changes anything.
//
//   GET /                         the page (index.html)
//   GET /page/{file}              its script and style
//   GET /page/api/overview        what runs (overview.ts)
//   GET /page/api/decisions       the latest decisions;   ?id=…: the one of a request, null where no router remembers it
//
// I1  What the page may load and do is said by its policy: nothing from elsewhere, no inline script, no frame around it.
// I2  Another site's script gets no answer (Sec-Fetch-Site), whatever the network lets it reach.
import type { HttpBindings } from "@hono/node-server";
import { stringifyJson, toAppError } from "@mm-router/protocol";
import { type Context, Hono, type Next } from "hono";
import type { DecisionLookup } from "./decision-lookup.ts";
import type { Overview } from "./overview-shape.ts";
import { readSiteFiles, type SiteFile } from "./site-files.ts";

export interface PageDeps {
  readonly overview: () => Promise<Overview>;
  readonly decisions: Pick<DecisionLookup, "byRequest" | "latest">;
}

export type PageEnv = { Bindings: HttpBindings };

const headers = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

const latestDefault = 20;
/** Of a request's id: what clients choose may be long. */
const idLengthMax = 256;

export function pageRoutes(deps: PageDeps): Hono<PageEnv> {
  const files = readSiteFiles();
  const app = new Hono<PageEnv>();
  app.get("/", (context) => fileAnswer(context, files.get("index.html")));
  app.get("/page/:file", (context) => fileAnswer(context, files.get(context.req.param("file"))));
  app.use("/page/api/*", sameSiteOnly);
  app.get("/page/api/overview", async () => json(200, await deps.overview()));
  app.get("/page/api/decisions", (context) => decisionsAnswer(context, deps));
  app.onError((error) => {
    const { status, code, message } = toAppError(error);
    return json(status, { error: { code, message } });
  });
  return app;
}

/** A browser says whose script asks; who is no browser says nothing. */
export async function sameSiteOnly(context: Context<PageEnv>, next: Next): Promise<Response | void> {
  const site = context.req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") return json(403, { error: { message: "another site's page asks" } });
  return next();
}

function fileAnswer(context: Context<PageEnv>, file: SiteFile | undefined): Response {
  if (file === undefined) return context.notFound() as Response;
  const { bytes, contentType, etag } = file;
  const all = { ...headers, "cache-control": "no-cache", etag };
  if (context.req.header("if-none-match") === etag) return new Response(null, { status: 304, headers: all });
  return new Response(new Uint8Array(bytes), { headers: { ...all, "content-type": contentType } });
}

async function decisionsAnswer(context: Context<PageEnv>, { decisions }: PageDeps): Promise<Response> {
  const id = context.req.query("id");
  if (id === undefined) return json(200, { decisions: await decisions.latest(latestDefault) });
  const decision = id.length > idLengthMax ? undefined : await decisions.byRequest(id);
  return json(200, { decision: decision ?? null });
}

function json(status: number, body: object): Response {
  return new Response(stringifyJson(body), {
    status,
    headers: { ...headers, "cache-control": "no-store", "content-type": "application/json" },
  });
}
