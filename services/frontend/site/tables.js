// Workers, models, routers and indexers, line by line, and the reasons for degraded routing.
import { counted, element, numeric, percent, rankName, rate, refresh, shortId, table } from "./dom.js";

/** @typedef {import("../src/page/overview-shape.ts").Overview} Overview */
/** @typedef {import("../src/page/overview-shape.ts").PageWorker} PageWorker */

const unknown = "–";

/** @param {Overview} overview */
export function showTables({ workers, models, routers, indexers, degraded }) {
  const heads = [
    "worker",
    "health",
    "model",
    "release",
    numeric("running"),
    numeric("active blocks"),
    numeric("to prefill"),
    numeric("blocks held"),
    numeric("last event"),
  ];
  refresh(
    "worker-table",
    table(heads, workers.map(workerRow), "No worker is registered: start one, or look whether this frontend is in its namespace."),
  );

  const modelHeads = ["model", "served by", numeric("instances"), numeric("context"), numeric("block")];
  const modelRows = models.map((model) => [
    model.name,
    element("code", {}, model.served_by),
    counted(model.instances),
    model.context_length === 0 ? unknown : counted(model.context_length),
    counted(model.block_size),
  ]);
  refresh("model-table", table(modelHeads, modelRows, "No model is served yet."));

  const routerHeads = [
    "mm-router",
    numeric("requests/s"),
    numeric("running"),
    numeric("waiting"),
    numeric("captured"),
    numeric("degraded/s"),
  ];
  const routerRows = routers.map((router) => [
    shortId(router.router_id),
    rate(router.requests_per_second),
    counted(router.running),
    counted(router.queue),
    percent(router.hit_rate),
    rate(router.degraded_per_second),
  ]);
  const indexerHeads = ["indexer", numeric("blocks"), numeric("events/s"), numeric("queries/s"), numeric("behind")];
  const indexerRows = indexers.map((indexer) => [
    shortId(indexer.indexer_id),
    counted(indexer.blocks),
    rate(indexer.events_per_second),
    rate(indexer.queries_per_second),
    counted(indexer.log_lag_messages),
  ]);
  refresh(
    "router-table",
    table(routerHeads, routerRows, "No mm-router answers."),
    table(indexerHeads, indexerRows, "No indexer of ours answers."),
  );
  refresh("degraded", ...degradedList(degraded));
}

/** @param {PageWorker} worker */
function workerRow(worker) {
  const { health, silent_seconds: silent } = worker;
  return [
    rankName(worker.worker_id, worker.dp_rank),
    element("span", { class: `health ${health.state}` }, health.text),
    worker.model ?? unknown,
    worker.release ?? unknown,
    counted(worker.requests),
    counted(worker.active_blocks),
    counted(worker.prefill_tokens),
    worker.blocks === null ? unknown : heldText(worker.blocks, worker.capacity_blocks),
    silent === null ? unknown : `${counted(Math.round(silent))} s ago`,
  ];
}

/**
 * @param {number} blocks
 * @param {number | null} capacity
 */
function heldText(blocks, capacity) {
  return capacity === null ? counted(blocks) : `${counted(blocks)} (${percent(blocks / capacity)})`;
}

/** @param {Overview["degraded"]} degraded */
function degradedList(degraded) {
  if (degraded.length === 0) return [element("p", { class: "empty good" }, "Every request so far was routed on all there is to know.")];
  return degraded.map((row) =>
    element(
      "div",
      { class: "reason" },
      element(
        "p",
        {},
        element("code", {}, row.reason),
        " ",
        element("b", {}, counted(row.total)),
        row.per_second > 0 ? ` · ${rate(row.per_second)}/s` : "",
      ),
      element("p", { class: "muted" }, row.meaning),
    ),
  );
}
