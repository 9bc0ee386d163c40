// A chat template, read once and rendered for every prompt.
//
//   source ── parser ──► statements ── compiler ──► functions ── render(context) ──► prompt
//
// Our own engine with the meaning of minijinja 2.24 as Dynamo 1.6.1 sets it up (text.md §4): the published JavaScript
// engines differ in ordinary requests.
import { AppError } from "@mm-router/protocol";
import { Budget, defaultRenderLimits, type RenderLimits, refusal } from "./budget.ts";
import { filters } from "./filters.ts";
import { Frame } from "./frame.ts";
import { Output } from "./output.ts";
import { parseTemplate } from "./parser.ts";
import type { Render } from "./render.ts";
import { type Execute, StatementCompiler } from "./statement-compiler.ts";
import { tests } from "./tests.ts";
import { SafeText, type Value } from "./values.ts";

/** UTF-16 units of a template's source; the longest published ones have 30 000. */
const sourceMax = 1024 * 1024;

export class Template {
  readonly source: string;
  readonly #run: Execute;
  readonly #blocks: ReadonlyMap<string, Execute>;

  private constructor(source: string, run: Execute, blocks: ReadonlyMap<string, Execute>) {
    this.source = source;
    this.#run = run;
    this.#blocks = blocks;
  }

  /** @throws AppError `configuration` for a source that cannot be read */
  static parse(source: string): Template {
    if (source.length > sourceMax) throw new AppError("configuration", `chat template exceeds ${sourceMax} characters`);
    try {
      const compiler = new StatementCompiler();
      const run = compiler.compile(parseTemplate(source));
      return new Template(source, run, compiler.blocks);
    } catch (error) {
      throw isExhaustion(error) ? new AppError("configuration", "chat template is nested too deeply") : error;
    }
  }

  /**
   * @param context names that the template sees besides the functions of every template
   * @throws AppError `invalid_request` with the template's own message, also when a limit is reached
   */
  render(context: ReadonlyMap<string, Value>, limits: RenderLimits = defaultRenderLimits): string {
    const budget = new Budget(limits);
    const output = new Output(budget);
    const render: Render = { budget, filters, tests, escapes: false, block: (name, frame) => this.#block(name, frame) };
    try {
      this.#run(Frame.root(render, context), output);
    } catch (error) {
      throw isExhaustion(error) ? refusal("template needs too much memory or is nested too deeply") : error;
    }
    return output.text;
  }

  /** `self.name()` */
  #block(name: string, frame: Frame): Value {
    const block = this.#blocks.get(name);
    if (block === undefined) throw refusal(`block '${name}' not found`);
    const output = new Output(frame.budget);
    block(frame, output);
    return frame.render.escapes ? new SafeText(output.text) : output.text;
  }
}

/** The engine's own last word on recursion and text length, should a limit of ours not have come first. */
function isExhaustion(error: unknown): boolean {
  return error instanceof RangeError;
}
