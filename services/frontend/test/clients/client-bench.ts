// What a program sees of a frontend through one client library, feature by feature, over the scripted worker.
//
// A feature gives the plain values that the library made of answers. Its error counts as what was seen, so that one list of
// expectations fits ours and shows where the real frontend's answers are lost (frontend.md §20).
import type { Runtime } from "@mm-router/runtime";
import { expect, vi } from "vitest";
import { goldenCards } from "../replay/golden-models.ts";
import { ScriptedWorker } from "../replay/scripted-worker.ts";

export interface Bench {
  /** Of the frontend, ours or the real one. */
  readonly url: string;
  readonly worker: ScriptedWorker;
}

async function answers(url: string, model: string): Promise<void> {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] });
  const { status } = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body });
  expect([404, 503]).not.toContain(status);
}

export type Features = Readonly<Record<string, (bench: Bench) => Promise<unknown>>>;
export type Seen = Record<string, unknown>;

/** One client library: what it does, and what it is to see. */
export interface Client {
  readonly name: string;
  readonly expected: Seen;
  /** Features that fail on the real 1.6.1, by faults that we do not copy. */
  readonly lostOnTheRealOne: readonly string[];
  readonly features: Features;
}

/** The golden models that the features ask. */
const askedModels = ["hermes", "text", "think", "tok", "vl"];

/** A worker that serves them, and the frontend at this URL once it serves them; 1.6.1 lists a model before it can. */
export async function startBench(url: string, runtime: Runtime, namespace: string): Promise<Bench> {
  const worker = new ScriptedWorker();
  const cards = await goldenCards();
  for (const component of askedModels) await worker.serve(runtime, namespace, component, cards.get(component)!);
  for (const component of askedModels) await vi.waitFor(() => answers(url, `test/${component}`), { timeout: 150_000, interval: 250 });
  return { url, worker };
}

/** What it sees of everything that it is to see. */
export async function seenBy({ features, expected }: Client, bench: Bench): Promise<Seen> {
  const seen: Seen = {};
  for (const name of Object.keys(expected)) {
    seen[name] = await features[name]!(bench).catch((error: unknown) => ({ failed: String(error) }));
  }
  return seen;
}

/** The sentence that a library makes of an error; fails where there is none. */
export async function sentenceOf(asking: Promise<unknown>): Promise<string> {
  const error = await asking.then(
    () => new Error("it was answered"),
    (cause: unknown) => cause as Error,
  );
  return error.message;
}

/** Resolves when the worker was told that its caller has left. */
export async function untilCancelled(worker: ScriptedWorker): Promise<boolean> {
  await vi.waitFor(
    () => {
      if (worker.received.at(-1)?.cancelled !== true) throw new Error("the worker goes on");
    },
    { timeout: 30_000, interval: 5 },
  );
  return true;
}

export const picture = "iVBORw0KGgo=";
export const pictureUrl = `data:image/png;base64,${picture}`;

/** The picture of the last request, as the worker got it. */
export const pictureSent = ({ worker }: Bench): unknown => worker.received.at(-1)!.request["multi_modal_data"];
export const pictureSeen = { image_url: [{ Url: pictureUrl }] };

export const hello = "Hello, world! How are you today?";
export const paris = { location: "Paris", n: 2 };
/** What a tool says; the worker goes on with this script. */
export const sunny = "It is sunny, script:default";
