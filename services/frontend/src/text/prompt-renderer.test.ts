// Prompts of whole requests: golden text/template.json and text/template-live.json, 1.6.1.
import { AppError, type LosslessJson, parseJsonLossless, stringifyJsonLossless } from "@mm-router/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { type FixtureSource, goldenLossless, of161, packagedConfig } from "../../test/support/text-fixtures.ts";
import { parseChatRequest } from "../preprocess/chat-request.ts";
import { promptInput } from "../preprocess/preprocessor.ts";
import { validateChat } from "../preprocess/validation.ts";
import { ChatTemplates } from "./chat-template.ts";
import { PromptRenderer } from "./prompt-renderer.ts";
import { templateTokens } from "./text-model.ts";

type JsonMap = Map<string, LosslessJson>;
type Answer = ReadonlyMap<string, LosslessJson>;

/** What a client gets: a prompt, or the sentence of an error. */
interface Outcome {
  readonly prompt?: string;
  readonly refused?: string;
}

/** HF's form of a list of templates is refused by 1.6.1 at every request; ours understands it. */
const ourOwn = new Set(["c-list-template"]);

const recorded = goldenLossless<JsonMap>("text/template.json");
const recordedOn = "21 Nov 2026";
const requests = recorded.get("requests") as JsonMap;
const models = (recorded.get("models") as JsonMap[]).map((model) => ({ name: model.get("name") as string, model }));

beforeAll(() => {
  process.env["TZ"] = "UTC"; // as it was recorded: templates write dates
});

describe.each(models)("prompts of $name", ({ name, model }) => {
  it("are those of 1.6.1", (context) => {
    const renderer = rendererOf(model);
    if (renderer === undefined) return context.skip(`npm package ${model.get("package")} is not installed`);
    const differing = [...(model.get("cases") as Map<string, JsonMap>)].flatMap(([request, answers]) => {
      const theirs = of161(answers) as Answer | undefined;
      if (theirs === undefined || ourOwn.has(name)) return [];
      const ours = ask(renderer, requests.get(request) as JsonMap);
      return agree(ours, theirs) ? [] : [{ request, ours, theirs: [...theirs] }];
    });
    expect(differing).toEqual([]);
  });
});

describe("root members of a request", () => {
  const cases = (recorded.get("continue") as JsonMap[]).map((each) => ({ id: each.get("id") as string, recordedCase: each }));

  it.each(cases)("$id gives the prompt of 1.6.1", ({ recordedCase }) => {
    const { model } = models.find(({ name }) => name === recordedCase.get("model"))!;
    const theirs = of161(recordedCase) as Answer | undefined;
    const ours = ask(rendererOf(model)!, recordedCase.get("body") as JsonMap);
    if (theirs !== undefined)
      expect(agree(ours, theirs), `${stringifyJsonLossless(theirs as JsonMap)} ours: ${JSON.stringify(ours)}`).toBe(true);
  });
});

describe("chats that were asked of a running 1.6.1", () => {
  const chats = goldenLossless<JsonMap>("text/template-live.json").get("chats") as JsonMap[];

  it("give its prompts, and are refused where it refused them", () => {
    const differing = chats.flatMap((chat) => {
      const config = new Map<string, LosslessJson>([
        ["chat_template", chat.get("template")!],
        ["bos_token", "<s>"],
        ["eos_token", "</s>"],
      ]);
      const ours = ask(rendererFor({ config }), chat.get("body") as JsonMap);
      return agree(ours, chat) ? [] : [{ chat: stringifyJsonLossless(chat), ours }];
    });
    expect(differing).toEqual([]);
    expect(chats.length).toBe(449);
  });
});

function ask(renderer: PromptRenderer | AppError, body: JsonMap): Outcome {
  try {
    if (renderer instanceof AppError) throw renderer;
    const request = parseChatRequest(new Map([...body, ["model", "m"]]));
    validateChat(request, { ignoreUnknown: false });
    return { prompt: renderer.render(promptInput(request)) };
  } catch (error) {
    if (error instanceof AppError) return { refused: error.message };
    throw error;
  }
}

function agree(ours: Outcome, theirs: Answer): boolean {
  const prompt = theirs.get("prompt");
  if (prompt === undefined) return ours.refused !== undefined;
  return ours.prompt !== undefined && (ours.prompt === prompt || withoutDate(ours.prompt) === prompt);
}

/** The golden file has a mark where the day of its recording stood: today, or that day where a request names it itself. */
function withoutDate(prompt: string): string {
  const [, day, month, year] = /^\w+, (\d+) (\w+) (\d+)/.exec(new Date().toUTCString())!;
  return [`${day} ${month} ${year}`, recordedOn].reduce((text, date) => text.replaceAll(date, "<date %d %b %Y>"), prompt);
}

/** Undefined when the model's package is not installed; an error for a model that cannot be loaded. */
function rendererOf(model: JsonMap): PromptRenderer | AppError | undefined {
  try {
    const config = configOf(model);
    if (config === undefined) return undefined;
    const files = (model.get("files") ?? new Map()) as ReadonlyMap<string, string>;
    return rendererFor({ config, jinja: files.get("chat_template.jinja"), json: files.get("chat_template.json") });
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

function configOf(model: JsonMap): JsonMap | undefined {
  const named = model.get("package");
  if (typeof named === "string") {
    const file = packagedConfig({ package: named } satisfies FixtureSource);
    return file && (parseJsonLossless(file) as JsonMap);
  }
  if (!model.has("template")) return model.get("tokenizer_config") as JsonMap;
  const own = ["bos_token", "eos_token", "unk_token"].map((name) => [name, model.get(name) ?? null] as const);
  return new Map<string, LosslessJson>([["chat_template", model.get("template")!], ...own]);
}

interface Files {
  readonly config: JsonMap;
  readonly jinja?: string | undefined;
  readonly json?: string | undefined;
}

function rendererFor({ config, jinja, json }: Files): PromptRenderer {
  const tokens = templateTokens(config);
  const parsed = json === undefined ? undefined : (parseJsonLossless(json) as JsonMap);
  return new PromptRenderer(new ChatTemplates({ jinja, json: parsed, config: config.get("chat_template") }, tokens), tokens, {
    hidesToolsForNone: true,
  });
}
