// One decision: who was weighed at what cost, who got the request and why, and which picture's blocks were there.
import { counted, duration, element, numeric, percent, rankName, shortId, table } from "./dom.js";

/** @typedef {import("../src/page/found-decision.ts").FoundDecision} Decision */
/** @typedef {Decision["candidates"][number]} Candidate */
/** @typedef {NonNullable<Decision["chosen"]>} Chosen */

/** @param {Decision} decision */
export function decisionView(decision) {
  const { chosen, images } = decision;
  return element(
    "div",
    { class: "decision", "data-request": decision.request_id },
    element("p", { class: chosen?.quality === "exact" ? "why" : "why unsure" }, ...reasonsFor(decision)),
    facts(decision),
    images.length === 0 ? null : element("ul", { class: "facts", "aria-label": "Pictures" }, ...images.map(pictureLine)),
    chosen === null ? null : rankTable(decision, chosen),
  );
}

/**
 * Whether a picture's blocks were at the chosen worker.
 *
 * @param {Decision["images"][number]} image
 * @returns {{ readonly state: "held" | "part" | "missed" | "unknown", readonly text: string }}
 */
export function pictureState({ tokens, blocks, held_blocks: held }) {
  if (tokens === null) return { state: "unknown", text: "not placed" };
  if (blocks === 0) return { state: "unknown", text: "no full block" };
  if (held === blocks) return { state: "held", text: "held" };
  return held === 0 ? { state: "missed", text: "missed" } : { state: "part", text: `${held} of ${blocks} blocks` };
}

/**
 * @param {readonly Decision[]} decisions
 * @param {(decision: Decision) => Node} link  opens one of them
 */
export function decisionTable(decisions, link) {
  const heads = ["when", "request", "worker", numeric("held"), numeric("of"), "pictures", "certain", "ended", numeric("took")];
  const rows = decisions.map((decision) => [
    new Date(decision.received_at).toLocaleTimeString("en-GB"),
    link(decision),
    decision.chosen === null ? "–" : rankName(decision.chosen.worker_id, decision.chosen.dp_rank),
    decision.chosen === null ? "–" : counted(decision.chosen.overlap_blocks),
    decision.chosen === null ? "–" : counted(decision.chosen.blocks),
    decision.images.length === 0
      ? ""
      : element("span", {}, ...decision.images.slice(0, 4).map(badge), decision.images.length > 4 ? " …" : ""),
    certainty(decision),
    decision.outcome ?? "running",
    decision.duration_ms === null ? "–" : duration(decision.duration_ms),
  ]);
  return table(heads, rows, "No mm-router remembers a request: none has come, or --decisions-kept is 0.");
}

/** @param {Decision} decision */
function certainty({ chosen }) {
  if (chosen === null) return "–";
  return chosen.reason === null
    ? chosen.quality
    : element("span", { title: chosen.reason.meaning }, `${chosen.quality}: ${chosen.reason.reason}`);
}

/** @param {Decision["images"][number]} image */
function badge(image) {
  const { state, text } = pictureState(image);
  return element("span", { class: `badge ${state}` }, text);
}

/**
 * @param {Decision["images"][number]} image
 * @param {number} n
 */
function pictureLine(image, n) {
  return element(
    "li",
    { "data-picture": String(n) },
    `picture ${n + 1} `,
    badge(image),
    image.name === null ? "" : " ",
    image.name === null ? null : element("code", {}, image.name),
  );
}

/** @param {Decision} decision */
function reasonsFor({ chosen, candidates, candidates_more: more, error, retries }) {
  if (chosen === null) return [error === null ? "No worker is chosen yet." : `No worker was chosen: ${error}.`];
  const weighed = candidates.length + more;
  const mine = candidates.find((each) => isChosen(each, chosen));
  const others = candidates.filter((each) => !isChosen(each, chosen)).map(({ cost }) => cost);
  const next = others.length === 0 ? undefined : Math.min(...others);
  return [
    element("b", {}, rankName(chosen.worker_id, chosen.dp_rank)),
    ` held ${counted(chosen.overlap_blocks)} of ${counted(chosen.blocks)} blocks`,
    chosen.blocks === 0 ? "" : ` (${percent(chosen.overlap_blocks / chosen.blocks)})`,
    mine === undefined || next === undefined ? (weighed === 1 ? "; it is the only worker" : "") : costText(mine.cost, next, weighed),
    chosen.available_blocks > chosen.overlap_blocks ? `. Another one held ${counted(chosen.available_blocks)}, and had too much to do` : "",
    retries > 0 ? `. ${counted(retries)} did not take it before` : "",
    chosen.reason === null ? "." : `. ${chosen.quality}, ${chosen.reason.reason}: ${chosen.reason.meaning}.`,
  ];
}

/**
 * @param {number} mine
 * @param {number} next
 * @param {number} weighed
 */
function costText(mine, next, weighed) {
  if (mine === next) return `; it cost ${cost(mine)} as others did, and had the least to do or meets this prompt by its hash`;
  return mine < next
    ? `; the cheapest of ${weighed} at ${cost(mine)}, the next one ${cost(next)}`
    : `; drawn at ${cost(mine)}, by the router's temperature`;
}

/** @param {number} value */
const cost = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });

/** @param {Decision} decision */
function facts(decision) {
  const { chosen, cached_tokens: cached, first_token_ms: first, duration_ms: all, outcome } = decision;
  const told = (/** @type {string} */ name, /** @type {import("./dom.js").Child} */ value) =>
    element("span", {}, `${name} `, element("b", {}, value));
  return element(
    "p",
    { class: "facts" },
    element("span", {}, "request ", element("code", {}, decision.request_id)),
    element("span", {}, "mm-router ", shortId(decision.router_id)),
    chosen === null ? null : told("prompt", `${counted(chosen.routing_tokens)} tokens`),
    cached === null ? null : told("cached, says the worker", `${counted(cached)} tokens`),
    chosen === null ? null : told("placed in", duration(chosen.routing_ms)),
    first === null ? null : told("first token", duration(first)),
    told(outcome ?? "running", all === null ? "" : duration(all)),
  );
}

/**
 * @param {Decision} decision
 * @param {Chosen} chosen
 */
function rankTable({ candidates, candidates_more: more }, chosen) {
  const heads = ["worker", "held", numeric("to prefill"), numeric("active blocks"), numeric("running"), numeric("cost")];
  const rows = candidates.map((each) => [
    element("span", {}, rankName(each.worker_id, each.dp_rank), isChosen(each, chosen) ? " ✓" : ""),
    element("span", {}, shareBar(each.overlap_blocks, chosen.blocks), counted(each.overlap_blocks)),
    counted(each.active_prefill_tokens),
    counted(each.active_decode_blocks),
    counted(each.active_requests),
    cost(each.cost),
  ]);
  const made = table(heads, rows, "");
  candidates.forEach((each, n) => {
    if (isChosen(each, chosen)) made.querySelectorAll("tbody tr")[n]?.classList.add("chosen");
  });
  const rest = more === 0 ? null : element("p", { class: "muted" }, `and ${counted(more)} more, which cost more`);
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Workers weighed" }, made, rest);
}

/**
 * @param {number} part
 * @param {number} whole
 */
function shareBar(part, whole) {
  const filled = element("i");
  filled.style.setProperty("width", `${whole === 0 ? 0 : (100 * part) / whole}%`);
  return element("span", { class: "share", "aria-hidden": "true" }, filled);
}

/**
 * @param {Candidate} candidate
 * @param {Chosen} chosen
 */
function isChosen({ worker_id: id, dp_rank: rank }, chosen) {
  return id === chosen.worker_id && rank === chosen.dp_rank;
}
