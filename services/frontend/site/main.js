// The page: asks what runs every two seconds while somebody looks, and shows it.
import { showCacheMap } from "./cache-map.js";
import { followLookups, showLatest } from "./decisions.js";
import { byId, fill, refresh } from "./dom.js";
import { showHits } from "./hits.js";
import { History } from "./history.js";
import { showNumbers } from "./numbers.js";
import { followPlayground, offerModels } from "./playground.js";
import { showTables } from "./tables.js";

/** @typedef {import("../src/page/overview-shape.ts").Overview} Overview */

const everyMs = 2_000;
const history = new History();

async function look() {
  const answer = await fetch("page/api/overview");
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error?.message ?? `status ${answer.status}`);
  show(/** @type {Overview} */ (body));
}

/** @param {Overview} overview */
function show(overview) {
  history.add(overview);
  showNumbers(overview, history);
  showHits(overview.hits, history);
  showCacheMap(overview);
  showTables(overview);
  offerModels(overview);
  refresh("about", `mm-router ${overview.version}. What this page shows is asked of the processes themselves; no prompt is kept anywhere.`);
}

/**
 * @param {"live" | "lost"} state
 * @param {string} text
 */
function tell(state, text) {
  const status = byId("status");
  if (status.dataset["state"] === state && status.textContent === text) return;
  status.dataset["state"] = state;
  fill("status", text);
}

async function follow() {
  for (;;) {
    if (!document.hidden) {
      await Promise.all([look(), showLatest()]).then(
        () => tell("live", "live"),
        (error) => tell("lost", `no news: ${error.message}`),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

followPlayground();
followLookups();
void follow();
