// A worker that answers as golden frontend/scripts.json says, and remembers what it was asked.
//
//   prompt "… script:n2 …"  →  items of the script `n2`; the last one counts; an unknown name, or none: `default`
//
// Text of a script is cut into tokens by the library's tokenizer, not by ours.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Tokenizer } from "@huggingface/tokenizers";
import { AppError, cardKey, decodeBody, encodeCardEntry, type ModelCard } from "@mm-router/protocol";
import type { IncomingRequest, ResponseSink, Runtime } from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import { tokenizerConfigPath, tokenizerPath } from "./golden-models.ts";

type Item = Record<string, unknown>;

interface Step {
  readonly text?: string;
  readonly chunk?: string;
  readonly ids?: readonly number[];
  readonly item?: Item;
  readonly lp?: number;
  readonly gap?: number;
  readonly sleep?: number;
  readonly wait_cancel?: number;
  readonly raise?: readonly [name: string, text: string];
  readonly with?: Item;
}

/** What one request looked like to the worker, and whether the caller left. */
export interface Received {
  readonly model: string;
  readonly contextId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly request: Item;
  cancelled: boolean;
}

const scripts = golden<{ scripts: Record<string, Step[]> }>("frontend/scripts.json").scripts;
const readJson = (path: string) => JSON.parse(readFileSync(path, "utf8")) as object;

export class ScriptedWorker {
  readonly received: Received[] = [];
  readonly #tokenizer = new Tokenizer(readJson(tokenizerPath), readJson(tokenizerConfigPath));

  /** Serves one model under a component of its own. */
  async serve(runtime: Runtime, namespace: string, component: string, card: ModelCard): Promise<void> {
    const address = { namespace, component, endpoint: "generate" };
    await runtime.endpoint(address).serve((request, sink) => this.#answer(component, request, sink));
    await runtime.discovery.register((instanceId) => ({
      key: cardKey(address, instanceId),
      value: encodeCardEntry({ address, instanceId, card }),
    }));
  }

  async #answer(model: string, incoming: IncomingRequest, sink: ResponseSink): Promise<void> {
    const { contextId, metadata, signal } = incoming;
    const request = decodeBody(incoming.codec, incoming.body) as Item;
    const entry: Received = { model, contextId, metadata, request, cancelled: false };
    this.received.push(entry);
    signal.addEventListener("abort", () => {
      entry.cancelled = true;
    });
    for (const step of this.#script(request)) {
      if (signal.aborted) return;
      await this.#play(step, sink, signal);
    }
  }

  #script(request: Item): readonly Step[] {
    const prompt = Array.isArray(request["token_ids"])
      ? this.#tokenizer.decode(request["token_ids"].flat() as number[], { skip_special_tokens: false })
      : JSON.stringify(request);
    const name = [...prompt.matchAll(/script:(\w+)/g)].at(-1)?.[1] ?? "default";
    return scripts[name] ?? scripts["default"]!;
  }

  async #play(step: Step, sink: ResponseSink, signal: AbortSignal): Promise<void> {
    if (step.raise !== undefined) throw pythonError(...step.raise);
    if (step.sleep !== undefined) return pause(step.sleep, signal);
    if (step.wait_cancel !== undefined) return pause(step.wait_cancel, signal);
    for (const data of this.#itemsOf(step)) {
      if (signal.aborted) return;
      await sink.item({ data });
      if (step.gap !== undefined) await pause(step.gap, signal);
    }
  }

  #itemsOf(step: Step): Item[] {
    if (step.item !== undefined) return [{ ...step.item, ...step.with }];
    if (step.ids !== undefined) return [{ token_ids: step.ids, ...step.with }];
    const ids = this.#tokenizer.encode(step.text ?? step.chunk ?? "", { add_special_tokens: false }).ids;
    if (step.chunk !== undefined) return [{ token_ids: ids, ...chunkOdds(ids, step.lp), ...step.with }];
    const items = ids.map((id: number, at: number): Item => ({ token_ids: [id], ...tokenOdds(id, at, step.lp), ...indexOf(step.with) }));
    const last = items.at(-1);
    return last === undefined ? [] : [...items.slice(0, -1), { ...last, ...step.with }];
  }
}

/** As a 1.6 worker tells a Python exception. */
function pythonError(name: string, text: string): AppError {
  const isWrong = name === "ValueError" || name === "TypeError";
  return new AppError(isWrong ? "invalid_request" : "worker_error", `${name}: ${text}`);
}

function tokenOdds(id: number, at: number, top: number | undefined): Item {
  if (top === undefined) return {};
  const other = { rank: 2, token_id: id + 1, logprob: -3.25 };
  return { log_probs: [-0.5 * (at + 1)], top_logprobs: [[{ rank: 1, token_id: id, logprob: -0.5 * (at + 1) }, other].slice(0, top)] };
}

function chunkOdds(ids: readonly number[], top: number | undefined): Item {
  if (top === undefined) return {};
  const odds = ids.map((_, at) => -0.25 * (at + 1));
  return { log_probs: odds, top_logprobs: ids.map((id, at) => [{ rank: 1, token_id: id, logprob: odds[at] }]) };
}

function indexOf(members: Item | undefined): Item {
  return members !== undefined && "index" in members ? { index: members["index"] } : {};
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, { signal }).catch(() => {}); // an abort ends the pause, which is all it is for
}
