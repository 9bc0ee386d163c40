// Who holds how much: a field of cells per rank, each cell an equal part of its engine's blocks.
//
//   ■ ■ ■ ▪ ▪ · ·      held alone · held by another rank, too · free
//
// An engine that does not tell its size is drawn beside the fullest rank there is.
import { counted, element, percent, rankName, refresh } from "./dom.js";

/** @typedef {import("../src/page/overview-shape.ts").Overview} Overview */
/** @typedef {import("../src/page/overview-shape.ts").PageWorker} PageWorker */

const cells = 120;
/** Ranks that are drawn; the table below has all. */
const ranksMax = 64;

/** @param {Overview} overview */
export function showCacheMap({ workers, cache, indexers }) {
  const held = workers.filter(({ blocks }) => blocks !== null);
  refresh("cache-summary", summary(held, cache, indexers.length));
  const most = Math.max(1, ...held.map(({ blocks }) => blocks ?? 0));
  if (held.length === 0) {
    const why = indexers.length === 0 ? "No indexer of ours answers: what workers hold is not known." : "No rank holds a block yet.";
    refresh("cache-map", element("p", { class: "empty" }, why));
    return;
  }
  refresh("cache-map", ...held.slice(0, ranksMax).map((worker) => field(worker, worker.capacity_blocks ?? most)));
}

/**
 * @param {readonly PageWorker[]} held
 * @param {Overview["cache"]} cache
 * @param {number} indexers
 */
function summary(held, { distinct_blocks: distinct, copies }, indexers) {
  if (indexers === 0 || distinct === 0) return "";
  const total = held.reduce((sum, { blocks }) => sum + (blocks ?? 0), 0);
  const once = copies[0] ?? 0;
  const shared = distinct - once;
  return `${counted(distinct)} different blocks in ${counted(total)} places; ${percent(shared / distinct)} of them on more than one rank`;
}

/**
 * @param {PageWorker} worker
 * @param {number} capacity
 */
function field(worker, capacity) {
  const { worker_id: id, dp_rank: rank, model, capacity_blocks: told } = worker;
  const blocks = worker.blocks ?? 0;
  const shared = Math.min(blocks, worker.shared_blocks ?? 0);
  const full = cellsOf(blocks, capacity);
  const both = Math.min(full, cellsOf(shared, capacity));
  const kinds = Array.from({ length: cells }, (_, n) => (n < full - both ? "own" : n < full ? "shared" : "free"));
  const text = `${counted(blocks)} blocks held${told === null ? "" : ` of ${counted(told)}`}, ${counted(shared)} of them by another rank, too`;
  return element(
    "figure",
    { class: "rank", "data-worker": id },
    element("div", { class: "cells", role: "img", "aria-label": text }, ...kinds.map((kind) => element("i", { class: `cell ${kind}` }))),
    element(
      "figcaption",
      {},
      element("span", { class: "rank-name" }, rankName(id, rank), model === null ? "" : ` ${model}`),
      element("span", {}, element("b", {}, counted(blocks)), told === null ? " blocks" : ` of ${counted(told)} blocks`),
      element("span", { class: "muted" }, blocks === 0 ? "empty" : `${percent(shared / blocks)} shared`),
    ),
  );
}

/**
 * What is there shows, however little it is.
 *
 * @param {number} blocks
 * @param {number} capacity
 */
function cellsOf(blocks, capacity) {
  return blocks === 0 ? 0 : Math.max(1, Math.min(cells, Math.round((cells * blocks) / capacity)));
}
