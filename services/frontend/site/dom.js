// Elements and numbers. Text enters the page as text nodes only: what others named can say anything and do nothing.

/** @typedef {Node | string | number | null | undefined} Child */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Readonly<Record<string, string>>} [attributes]  `class`, `title`, `aria-…`; nothing that holds script
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(
    ...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))),
  );
  return made;
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * @param {string} id
 * @param {...Child} children
 */
export function fill(id, ...children) {
  byId(id).replaceChildren(...element("div", {}, ...children).childNodes);
}

/**
 * Shows a part only when it changed, so that what is selected or read aloud stays.
 *
 * @param {string} id
 * @param {...Child} children
 */
export function refresh(id, ...children) {
  const made = element("div", {}, ...children);
  const place = byId(id);
  const isSame = (/** @type {Node} */ node, /** @type {number} */ n) => node.isEqualNode(made.childNodes[n] ?? null);
  if (place.childNodes.length === made.childNodes.length && [...place.childNodes].every(isSame)) return;
  place.replaceChildren(...made.childNodes);
}

/**
 * @param {readonly (string | { readonly text: string, readonly numeric: boolean })[]} heads
 * @param {readonly (readonly Child[])[]} rows
 * @param {string} otherwise  shown where there is no row
 */
export function table(heads, rows, otherwise) {
  if (rows.length === 0) return element("p", { class: "empty" }, otherwise);
  const columns = heads.map((head) => (typeof head === "string" ? { text: head, numeric: false } : head));
  const classOf = (/** @type {number} */ n) => (columns[n]?.numeric ? { class: "number" } : undefined);
  const headRow = element("tr", {}, ...columns.map(({ text }, n) => element("th", { scope: "col", ...classOf(n) }, text)));
  const bodyRows = rows.map((row) => element("tr", {}, ...row.map((cell, n) => element("td", classOf(n), cell))));
  return element("table", {}, element("thead", {}, headRow), element("tbody", {}, ...bodyRows));
}

/** @param {string} text */
export const numeric = (text) => ({ text, numeric: true });

/** @param {number} value */
export function counted(value) {
  return value.toLocaleString("en");
}

/**
 * 12.3, 1,234: one digit behind the point while it is small.
 *
 * @param {number} value
 */
export function rate(value) {
  return value.toLocaleString("en", { maximumFractionDigits: value < 100 ? 1 : 0 });
}

/** @param {number | null} share */
export function percent(share) {
  return share === null ? "–" : `${(share * 100).toLocaleString("en", { maximumFractionDigits: share > 0 && share < 0.1 ? 1 : 0 })} %`;
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1_000) return `${ms.toLocaleString("en", { maximumFractionDigits: ms < 10 ? 1 : 0 })} ms`;
  return `${(ms / 1_000).toLocaleString("en", { maximumFractionDigits: 1 })} s`;
}

/**
 * The end of an id, which tells it from its neighbours, and the whole one for who points at it.
 *
 * @param {string} id
 */
export function shortId(id) {
  return element("code", { title: id }, id.length > 8 ? `…${id.slice(-6)}` : id);
}

/**
 * @param {string} workerId
 * @param {number} rank
 */
export function rankName(workerId, rank) {
  const name = shortId(workerId);
  if (rank > 0) name.append(`/${rank}`);
  return name;
}

/**
 * @param {string} name
 * @param {Readonly<Record<string, string>>} attributes
 */
export function drawing(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
