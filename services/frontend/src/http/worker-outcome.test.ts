// What a client gets for everything that a worker can answer: golden wire/worker-outcome-to-http.json, 1.6.1.
import { AppError, encodeItem, type InstanceId } from "@mm-router/protocol";
import { notTaken } from "@mm-router/runtime";
import { golden } from "@mm-router/testkit/golden";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HttpBench, type Script } from "../../test/support/http-bench.ts";
import { wordModel } from "../../test/support/word-model.ts";

interface Outcome {
  readonly version: string;
  readonly model_input: "Text" | "Tokens";
  readonly stream: boolean;
  readonly scenario: string;
  readonly http_status: number;
  readonly content_type: string;
  readonly http_body: string;
}
type Input = Outcome["model_input"];

const outcomes = golden<{ cases: Outcome[] }>("wire/worker-outcome-to-http.json").cases.filter(({ version }) => version === "1.6.1");

const data = (value: unknown) => encodeItem("json", { data: value });
const failure = (error: object, comment?: string) =>
  encodeItem("json", { event: "error", error: error as never, ...(comment !== undefined && { comment: [comment] }) });
const textChunk = (content: string, finish: string | null, more: object = {}) =>
  data({
    id: "x",
    object: "chat.completion.chunk",
    created: 1,
    model: "m",
    choices: [{ index: 0, delta: { content }, finish_reason: finish }],
    ...more,
  });
const step = (input: Input) => (input === "Text" ? textChunk("w1 ", null) : data({ token_ids: [1], index: 0 }));
const end = (input: Input, finish: unknown) =>
  input === "Text" ? textChunk("", finish as string) : data({ token_ids: [], finish_reason: finish });

const lost = () => new AppError("worker_lost", "Stream ended before generation completed");
const frames = (...batch: Buffer[]): Script =>
  async function* () {
    yield batch;
  };
const broken = (input: Input): Script =>
  async function* () {
    yield [step(input)];
    throw lost();
  };

/** The scenarios of the file; what our transport makes of a refused or cut connection stands for those. */
const scenarios: Record<string, (input: Input) => Script | AppError> = {
  prologue_error: () => notTaken("worker_lost", "refused by worker", { instanceId: 1n as InstanceId }),
  no_prologue: () => notTaken("worker_lost", "closed before the prologue", { instanceId: 1n as InstanceId }),
  normal: (input) => frames(step(input), step(input), end(input, "stop")),
  err_both: (input) => frames(step(input), failure({ error_type: "Unknown", message: "both text" }, "both text")),
  err_comment: (input) => frames(step(input), encodeItem("json", { event: "error", comment: ["comment text"] })),
  err_first: () => frames(failure({ error_type: "Unknown", message: "first text" }, "first text")),
  err_invalid: () => frames(failure({ error_type: "InvalidArgument", message: "bad arg" }, "bad arg")),
  err_backend_invalid: () => frames(failure({ error_type: { Backend: "InvalidArgument" }, message: "bad arg" })),
  err_exhausted: () => frames(failure({ error_type: "ResourceExhausted", message: "busy" })),
  err_code: () => frames(failure({ error_type: "Unknown", message: '{"message":"teapot","code":418}' })),
  err_code422: () => frames(failure({ error_type: "InvalidArgument", message: '{"message":"unproc","code":422}' })),
  err_finish: (input) => frames(end(input, input === "Text" ? "error" : { error: "engine failed" })),
  err_finish_str: (input) => frames(end(input, "error")),
  err_disc: (input) => frames(step(input), failure({ error_type: "Disconnected", message: "gone" })),
  err_cannot: () => frames(failure({ error_type: "CannotConnect", message: "gone" })),
  err_unavail: () => frames(failure({ error_type: "Unavailable", message: "gone" })),
  err_newfields: () =>
    frames(
      failure({
        error_type: { Backend: "InvalidArgument" },
        class: "InvalidRequest",
        reason: "backend.invalid_argument",
        message: "pub",
        diagnostic: "diag",
        public: { type: "message", message: "pub" },
      }),
    ),
  finish_unknown: (input) => frames(step(input), end(input, "weird")),
  abort: broken,
  abort_rst: broken,
  abort_sentinel: broken,
  no_finish: (input) => frames(step(input)),
  garbage_item: (input) => frames(data("a string"), end(input, "stop")),
  annot: (input) => frames(encodeItem("json", { event: "my_event", comment: ['{"a":1}'] }), step(input), end(input, "stop")),
  usage_last: (input) => frames(step(input), end(input, "stop")),
};

/** Causes that 1.6.1 hides, and a status that it has in one form of answer and not in the other. */
const ownWords: Record<string, string> = {
  err_invalid: "bad arg",
  err_backend_invalid: "bad arg",
  err_code: "teapot",
  err_code422: "unproc",
};

describe("a worker's outcome", () => {
  let bench: HttpBench;
  beforeEach(async () => {
    bench = new HttpBench();
    bench.serve("Text");
    bench.serve("Tokens", { text: wordModel });
    await bench.listen();
  });
  afterEach(() => bench.close());

  it.each(outcomes.filter(({ scenario }) => scenario !== "empty"))(
    "$scenario of a $model_input worker (stream: $stream) is told as 1.6.1 does",
    async (outcome) => {
      const played = scenarios[outcome.scenario]!(outcome.model_input);
      if (played instanceof AppError) bench.refusal = played;
      else bench.script = played;
      const body = { model: outcome.model_input, messages: [{ role: "user", content: "hi" }], stream: outcome.stream };
      const response = await bench.chat(body);
      const ours = { status: response.status, type: response.headers.get("content-type"), ...toldIn(await response.text()) };
      const theirs = { status: outcome.http_status, type: outcome.content_type, ...toldIn(outcome.http_body) };
      const cause = ownWords[outcome.scenario];
      expect(ours).toEqual(cause === undefined ? theirs : { ...theirs, message: cause });
    },
  );

  it("that is nothing at all is an error, not an empty answer", async () => {
    expect((await bench.chat({ model: "Tokens", messages: [{ role: "user", content: "hi" }] })).status).toBe(500);
  });
});

/** The error that a body or its last event tells, and how a stream ends. */
function toldIn(body: string): object {
  const isStream = body.startsWith("data: ") || body.startsWith("event: ");
  const events = body.split("\n\n").filter((event) => event !== "");
  const json = isStream ? (events.findLast((event) => event.startsWith("data: {")) ?? "data: {}").slice(6) : body;
  const { error, message, details } = JSON.parse(json) as {
    error?: { message: string; code: number; type: string };
    message?: string;
    details?: object;
  };
  if (!isStream) return { message, details };
  const first = events[0]!.startsWith("event: ") ? events[0] : undefined;
  return { message: error?.message, code: error?.code, errorType: error?.type, first, last: events.at(-1) };
}
