// The playground: sends a chat with pictures, shows the answer as it comes and where the request went.
import { streamChat } from "./chat-stream.js";
import { decisionView, pictureState } from "./decision-view.js";
import { decisionOf } from "./decisions.js";
import { byId, counted, duration, element, fill, refresh } from "./dom.js";
import { Pictures } from "./pictures.js";

/** @typedef {import("../src/page/overview-shape.ts").Overview} Overview */

/** Until a router says how the request ended: its last word comes a moment after the answer's. */
const endTries = 10;
const endPauseMs = 200;

const pictures = new Pictures();
/** @type {AbortController | undefined} */
let running;
let chatPath = "";

/** @param {Overview} overview */
export function offerModels({ models, chat_path }) {
  chatPath = chat_path;
  const names = [...new Set(models.filter(({ chats }) => chats).map(({ name }) => name))];
  refresh("chat-model", ...names.map((name) => element("option", { value: name }, name)));
}

export function followPlayground() {
  byId("chat-draw").addEventListener("click", () => pictures.draw());
  byId("chat-stop").addEventListener("click", () => running?.abort());
  const file = input("chat-file");
  file.addEventListener("change", () => {
    if (file.files !== null) void pictures.addFiles(file.files).then(() => (file.value = ""));
  });
  byId("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (running === undefined) void send();
  });
}

async function send() {
  running = new AbortController();
  busy(true);
  pictures.mark([]);
  fill("chat-decision");
  const began = performance.now();
  let requestId = "";
  try {
    const usage = await streamChat(chatPath, request(), {
      signal: running.signal,
      began: (id) => (requestId = id),
      text: (piece) => byId("chat-answer").append(piece),
    });
    fill("chat-facts", factsOf(usage, performance.now() - began));
  } catch (error) {
    fill("chat-facts", running.signal.aborted ? "stopped" : "");
    if (!running.signal.aborted) fail(/** @type {Error} */ (error).message);
  }
  await showDecision(requestId).catch((error) => fill("chat-decision", element("p", { class: "empty" }, error.message)));
  running = undefined;
  busy(false);
}

function request() {
  const content = [
    ...pictures.urls.map((url) => ({ type: "image_url", image_url: { url } })),
    { type: "text", text: /** @type {HTMLTextAreaElement} */ (byId("chat-text")).value },
  ];
  const model = /** @type {HTMLSelectElement} */ (byId("chat-model")).value;
  return { model, max_tokens: input("chat-tokens").valueAsNumber, messages: [{ role: "user", content }] };
}

/** @param {string} requestId */
async function showDecision(requestId) {
  if (requestId === "") return;
  for (let tries = endTries; tries > 0; tries--) {
    const decision = await decisionOf(requestId);
    if (decision !== null) {
      fill("chat-decision", element("h3", {}, "Where it went"), decisionView(decision));
      pictures.mark(decision.images.map(pictureState));
      if (decision.outcome !== null) return;
    }
    await new Promise((resolve) => setTimeout(resolve, endPauseMs));
  }
  if (byId("chat-decision").childElementCount === 0)
    fill("chat-decision", element("p", { class: "empty" }, "No mm-router had this request: its model is served by workers themselves."));
}

/**
 * @param {import("./chat-stream.js").Usage | undefined} usage
 * @param {number} tookMs
 */
function factsOf(usage, tookMs) {
  if (usage === undefined) return duration(tookMs);
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const read = `${counted(usage.prompt_tokens)} prompt tokens, ${counted(cached)} of them from the cache`;
  return `${read}; ${counted(usage.completion_tokens)} written in ${duration(tookMs)}`;
}

/** @param {string} message */
function fail(message) {
  byId("chat-answer").classList.add("failed");
  fill("chat-answer", message);
}

/** @param {boolean} isBusy */
function busy(isBusy) {
  button("chat-send").disabled = isBusy;
  button("chat-stop").disabled = !isBusy;
  byId("chat-answer").setAttribute("aria-busy", String(isBusy));
  if (!isBusy) return;
  byId("chat-answer").classList.remove("failed");
  fill("chat-answer");
  fill("chat-facts");
}

/** @param {string} id */
function input(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}

/** @param {string} id */
function button(id) {
  return /** @type {HTMLButtonElement} */ (byId(id));
}
