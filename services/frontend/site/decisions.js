// Looks decisions up: the latest ones, and one by its request's id.
import { byId, element, fill, refresh } from "./dom.js";
import { decisionTable, decisionView } from "./decision-view.js";

/** @typedef {import("../src/page/found-decision.ts").FoundDecision} Decision */

export async function showLatest() {
  const { decisions } = await asked("page/api/decisions");
  refresh("latest", decisionTable(decisions, link));
}

/**
 * The decision of a request; null where no router remembers it.
 *
 * @param {string} id
 * @returns {Promise<Decision | null>}
 */
export async function decisionOf(id) {
  const { decision } = await asked(`page/api/decisions?id=${encodeURIComponent(id)}`);
  return decision;
}

export function followLookups() {
  const field = /** @type {HTMLInputElement} */ (byId("find-id"));
  byId("find-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void look(field.value.trim());
  });
  byId("latest").addEventListener("click", ({ target }) => {
    const id = target instanceof HTMLElement ? target.dataset["find"] : undefined;
    if (id === undefined) return;
    field.value = id;
    void look(id).then(() => byId("decisions").scrollIntoView());
  });
}

/** @param {string} id */
async function look(id) {
  try {
    const decision = await decisionOf(id);
    fill("found", decision === null ? missing(id) : decisionView(decision));
  } catch (error) {
    fill("found", element("p", { class: "empty" }, `The routers could not be asked: ${/** @type {Error} */ (error).message}`));
  }
}

/** @param {string} id */
function missing(id) {
  return element(
    "p",
    { class: "empty" },
    "No mm-router remembers the request ",
    element("code", {}, id),
    ": it was never routed by one, or it is too long ago.",
  );
}

/** @param {Decision} decision */
function link({ request_id: id }) {
  return element(
    "button",
    { type: "button", class: "plain", "data-find": id, title: `look up ${id}` },
    id.slice(0, 13),
    id.length > 13 ? "…" : "",
  );
}

/** @param {string} url */
async function asked(url) {
  const answer = await fetch(url);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error?.message ?? `status ${answer.status}`);
  return body;
}
