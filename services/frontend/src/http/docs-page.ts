// GET /docs/: the API on one page, made of its description. No script, nothing fetched: it works where there is no internet.
import type { ApiDescription, Operation } from "./openapi.ts";

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
summary{cursor:pointer;padding:.4rem 0}code{font:14px ui-monospace,monospace}pre{background:#f4f5f7;padding:1rem;overflow:auto}
.method{display:inline-block;width:4rem;font-weight:600}.about{color:#57606a;margin-left:.5rem}`;

export function docsPage({ info, paths }: ApiDescription): string {
  const operations = Object.entries(paths).flatMap(([path, byMethod]) =>
    Object.entries(byMethod).map(([method, operation]) => operationHtml(method, path, operation)),
  );
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(info.title)}</title><style>${style}</style></head>
<body><h1>${escaped(info.title)} ${escaped(info.version)}</h1>
<p>${escaped(info.description)} Machine-readable: <a href="/openapi.json">/openapi.json</a>.</p>
${operations.join("\n")}
</body></html>
`;
}

function operationHtml(method: string, path: string, { summary, requestBody, responses }: Operation): string {
  const statuses = Object.entries(responses).map(([status, { description }]) => `<li><code>${status}</code> ${escaped(description)}</li>`);
  const body = requestBody === undefined ? "" : `<pre>${escaped(JSON.stringify(requestBody, undefined, 2))}</pre>`;
  return `<details><summary><span class="method">${method.toUpperCase()}</span><code>${escaped(path)}</code><span class="about">${escaped(summary)}</span></summary>
${body}<ul>${statuses.join("")}</ul></details>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
