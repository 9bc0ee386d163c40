// Every recorded request of golden frontend/*, sent to ours: answers and what the worker received equal those of 1.6.1, but for
// the differences listed in replay/deliberate-differences.ts.
import { stringifyJson } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Answer, comparableAnswer, comparableRequest } from "./replay/comparison.ts";
import { deliberateDifferences, refusedSince } from "./replay/deliberate-differences.ts";
import { goldenCards } from "./replay/golden-models.ts";
import { send } from "./replay/http-client.ts";
import { recordedRequest } from "./replay/recorded-requests.ts";
import { ScriptedWorker } from "./replay/scripted-worker.ts";
import { Stack } from "./replay/stack.ts";

interface RecordedWork {
  readonly request?: Record<string, unknown>;
  readonly metadata?: Record<string, string>;
  readonly context_id?: string;
  /** The worker was stopped, or had ended by itself: which of both is chance. */
  readonly event?: string;
}
interface RecordedRequestWork {
  readonly request: unknown;
  readonly metadata: unknown;
  readonly contextId?: string;
}
interface RecordedCase {
  readonly id: string;
  readonly response: Answer;
  readonly worker_received?: readonly (string | RecordedWork)[];
}

const groups = [
  "chat",
  "cmpl",
  "item",
  "ctx",
  "val",
  "val2",
  "req",
  "raw",
  "hdr",
  "get",
  "get2",
  "img",
  "text",
  "nv",
  "msg",
  "tmpl",
  "tool",
  "tool2",
  "reason",
  "resp",
  "anth",
  "emb",
  "busy",
];
/** Compared by variants.test.ts: their texts are this service's own. */
const comparedElsewhere = new Set(["get.GET/openapi.json", "get2.GET/docs/", "get2.GET/metrics"]);

describe("the recorded requests", () => {
  let stack: Stack;
  let url: string;
  const worker = new ScriptedWorker();

  beforeAll(async () => {
    stack = await Stack.start();
    ({ url } = await stack.frontend(["--enable-anthropic-api"]));
    const runtime = await stack.runtime();
    const cards = await goldenCards();
    for (const [component, card] of cards) await worker.serve(runtime, "dynamo", component, card);
    await vi.waitFor(
      async () => expect(((await (await fetch(`${url}/v1/models`)).json()) as { data: unknown[] }).data.length).toBe(cards.size),
      { timeout: 60_000, interval: 100 },
    );
  });
  afterAll(async () => {
    await stack[Symbol.asyncDispose]();
  });

  it.each(groups)("of group %s are answered as 1.6.1 does", async (group) => {
    const cases = golden<{ cases: RecordedCase[] }>(`frontend/http-1.6.1-${group}.json`).cases;
    const differing: unknown[] = [];
    for (const recorded of cases.filter(({ id }) => !comparedElsewhere.has(id))) {
      const from = worker.received.length;
      const ours = await send(url, recordedRequest(recorded.id)!);
      const difference = differenceOf(recorded, ours, worker.received.slice(from), cases);
      if (difference !== undefined) differing.push(difference);
    }
    expect(differing).toEqual([]);
    expect(cases.length).toBeGreaterThan(5);
  });

  it.each(Object.keys(refusedSince))("are taken where %s took them, but for those that newer rules refuse", async (release) => {
    const tookThen = casesOf(release).filter(({ response }) => response.status < 400);
    const refusedNow = new Map(casesOf("1.6.1").map(({ id, response }) => [id, response.status >= 400]));
    const refused: string[] = [];
    for (const { id } of tookThen.filter((each) => refusedNow.get(each.id) === true)) {
      if ((await send(url, recordedRequest(id)!)).status >= 400) refused.push(id);
    }
    expect(refused.toSorted()).toEqual(refusedSince[release]!.toSorted());
    expect(tookThen.length).toBeGreaterThan(20);
  });

  it("differ on purpose where the list says so, and only there", () => {
    const ids = groups.flatMap((group) => golden<{ cases: RecordedCase[] }>(`frontend/http-1.6.1-${group}.json`).cases.map(({ id }) => id));
    const unused = deliberateDifferences.filter(({ cases }) => !ids.some((id) => cases.test(id)));
    expect(unused).toEqual([]);
  });

  function differenceOf(recorded: RecordedCase, answer: Answer, received: typeof worker.received, cases: readonly RecordedCase[]): unknown {
    const deliberate = deliberateDifferences.filter((each) => each.cases.test(recorded.id));
    const theirWork = workOf(recorded, cases);
    const expected = deliberate.reduce(
      (theirs, { expected: change }) => change?.(theirs, theirWork) ?? theirs,
      comparableAnswer(recorded.response),
    );
    const ours = comparableAnswer(answer);
    const work = deliberate.reduce((theirs: readonly RecordedRequestWork[], { work: change }) => {
      if (change === undefined || change === "anything") return theirs;
      return change === "nothing" ? [] : (change(theirs) as readonly RecordedRequestWork[]);
    }, theirWork);
    const ourWork = received.map(({ request, metadata, contextId }, at) => ({
      request: comparableRequest(request),
      metadata,
      ...(work[at]?.contextId !== undefined && { contextId: maskedId(contextId) }),
    }));
    const workDiffers = deliberate.some(({ work: change }) => change === "anything") ? [] : differingMembers(ourWork, work, "worker");
    const differences = [...differingMembers(ours, expected, "answer"), ...workDiffers];
    return differences.length === 0 ? undefined : { id: recorded.id, differences };
  }

  function workOf({ id, worker_received: received = [] }: RecordedCase, cases: readonly RecordedCase[]): RecordedRequestWork[] {
    return received.flatMap((entry): RecordedRequestWork[] => {
      if (typeof entry === "string") {
        const other = cases.find((each) => `request as in ${each.id}` === entry);
        expect(other, `${id} refers to ${entry}`).toBeDefined();
        return workOf(other!, cases);
      }
      if (entry.request === undefined || entry.event !== undefined) return [];
      return [
        {
          request: comparableRequest(entry.request),
          metadata: entry.metadata ?? {},
          ...(entry.context_id !== undefined && { contextId: maskedId(entry.context_id) }),
        },
      ];
    });
  }
});

/** All recorded cases of a release; of 0.9.1 those that differ from 1.0.2. */
function casesOf(release: string): RecordedCase[] {
  const files = release === "0.9.1" ? ["http-0.9.1-differences"] : groups.map((group) => `http-${release}-${group}`);
  return files.flatMap((file) => golden<{ cases: RecordedCase[] }>(`frontend/${file}.json`).cases).filter(({ response }) => response);
}

function maskedId(contextId: string): string {
  return contextId.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, "<uuid>");
}

/** `path: ours ≠ theirs` of every leaf that differs; key order does not count. */
function differingMembers(ours: unknown, theirs: unknown, path: string): string[] {
  if (isObject(ours) && isObject(theirs)) {
    const keys = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
    return [...keys].flatMap((key) => differingMembers(ours[key], theirs[key], `${path}.${key}`));
  }
  return Object.is(ours, theirs) ? [] : [`${path}: ${stringifyJson(ours)} ≠ ${stringifyJson(theirs)}`];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
