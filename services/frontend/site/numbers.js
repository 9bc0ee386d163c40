// The row of numbers on top, each with its last minutes as a curve.
import { counted, drawing, element, percent, rate, refresh } from "./dom.js";
import { capturedShare } from "./hits.js";

/** @typedef {import("../src/page/overview-shape.ts").Overview} Overview */
/** @typedef {import("./history.js").History} History */

/**
 * @param {Overview} overview
 * @param {History} history
 */
export function showNumbers({ frontend, workers, hits }, history) {
  const held = workers.reduce((sum, { blocks }) => sum + (blocks ?? 0), 0);
  refresh(
    "numbers",
    number(
      "requests in flight",
      counted(frontend.running),
      history.values((then) => then.frontend.running),
    ),
    number(
      "requests/s",
      rate(frontend.requests_per_second),
      history.values((then) => then.frontend.requests_per_second),
    ),
    number(
      "tokens/s",
      rate(frontend.tokens_per_second),
      history.values((then) => then.frontend.tokens_per_second),
    ),
    number(
      "blocks captured",
      percent(capturedShare(hits, history)),
      history.values((then) => then.hits.captured),
    ),
    number(
      "blocks held",
      counted(held),
      history.values((then) => then.workers.reduce((sum, { blocks }) => sum + (blocks ?? 0), 0)),
    ),
  );
}

/**
 * @param {string} name
 * @param {string} value
 * @param {readonly number[]} values
 */
function number(name, value, values) {
  return element(
    "div",
    { class: "number-card" },
    element("p", { class: "name" }, name),
    element("p", { class: "value" }, value),
    curve(values),
  );
}

/** @param {readonly number[]} values */
function curve(values) {
  const picture = drawing("svg", { class: "curve", viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" });
  if (values.length < 2) return picture;
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const x = (/** @type {number} */ n) => (100 * n) / (values.length - 1);
  const y = (/** @type {number} */ value) => (most === least ? 22 : 22 - (20 * (value - least)) / (most - least));
  const line = values.map((value, n) => `${x(n).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  picture.append(drawing("polygon", { points: `0,24 ${line} 100,24` }), drawing("polyline", { points: line }));
  return picture;
}
