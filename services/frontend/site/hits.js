// How much of what was asked for could have come from a cache, and where the rest was lost.
//
//   attainable   an earlier prompt had it           ─┐ lost: evicted, or not computed yet
//   available    the best worker held it            ─┤ lost: the best worker had too much to do
//   captured     the chosen worker held it          ─┤ lost: gone when the request came, or the index was wrong
//   delivered    the worker says it found it        ─┘   (of an image it counts the placeholder alone)
import { counted, element, percent, refresh } from "./dom.js";

/** @typedef {import("../src/page/overview-shape.ts").HitBlocks} HitBlocks */
/** @typedef {import("./history.js").History} History */

const steps = /** @type {const} */ ([
  ["attainable", "had been in an earlier prompt", ""],
  ["available", "the best worker for it held it", "evicted, or still being computed"],
  ["captured", "the chosen worker held it", "given up for load: the holder had too much to do"],
  [
    "delivered",
    "the worker says it found it",
    "not told by the worker: gone when the request came, or an image, of which workers count the placeholder alone",
  ],
]);

/**
 * @param {HitBlocks} now
 * @param {History} history
 */
export function showHits(now, history) {
  const recent = lastMinute(now, history);
  const shown = recent ?? now;
  refresh("hits-window", windowText(now, recent));
  if (shown.asked === 0) {
    refresh(
      "hits",
      element("p", { class: "empty" }, "No mm-router has placed a request with a full block yet. Send one from the playground."),
    );
    return;
  }
  refresh("hits", ...steps.map(([name, meaning], n) => bar(shown, name, meaning, n)), losses(shown));
}

/**
 * Of the last minute, or since the start where nothing was asked in it.
 *
 * @param {HitBlocks} now
 * @param {History} history
 */
export function capturedShare(now, history) {
  const { captured, asked } = lastMinute(now, history) ?? now;
  return asked === 0 ? null : captured / asked;
}

/**
 * @param {HitBlocks} now
 * @param {HitBlocks | undefined} recent
 */
function windowText(now, recent) {
  if (recent !== undefined) return `of ${counted(recent.asked)} blocks asked for in the last minute`;
  return now.asked === 0 ? "" : `of ${counted(now.asked)} blocks asked for since the routers started`;
}

/**
 * @param {HitBlocks} now
 * @param {History} history
 * @returns {HitBlocks | undefined}
 */
function lastMinute(now, history) {
  const before = history.minuteAgo?.overview.hits;
  if (before === undefined || now.asked <= before.asked) return undefined;
  const since = (/** @type {keyof HitBlocks} */ name) => Math.max(0, now[name] - before[name]);
  return {
    asked: since("asked"),
    attainable: since("attainable"),
    available: since("available"),
    captured: since("captured"),
    delivered: since("delivered"),
  };
}

/**
 * @param {HitBlocks} hits
 * @param {Exclude<keyof HitBlocks, "asked">} name
 * @param {string} meaning
 * @param {number} step
 */
function bar(hits, name, meaning, step) {
  const share = Math.min(1, hits[name] / hits.asked);
  const filled = element("i", {});
  filled.style.setProperty("width", `${share * 100}%`);
  return element(
    "div",
    { class: `hit step-${step}`, "data-hit": name },
    element("span", { class: "hit-name" }, name),
    element("span", { class: "hit-bar", "aria-hidden": "true" }, filled),
    element("span", { class: "hit-share" }, percent(share)),
    element("span", { class: "hit-meaning" }, meaning),
  );
}

/** @param {HitBlocks} hits */
function losses(hits) {
  const lost = steps.slice(1).flatMap(([name, , why], n) => {
    const blocks = hits[/** @type {typeof steps[number]} */ (steps[n])[0]] - hits[name];
    return blocks / hits.asked >= 0.01 ? [element("li", {}, element("b", {}, percent(blocks / hits.asked)), ` ${why}`)] : [];
  });
  return lost.length === 0 ? null : element("ul", { class: "losses", "aria-label": "Where hits were lost" }, ...lost);
}
