// Variables of a rendering: a chain of frames, innermost first.
//
//   for x in y   →  frame { x, loop }
//   with, block  →  frame { … }
//   template     →  frame { names set at top level } → context (messages, tools, …) → functions
//
// Source: minijinja 2.24 vm/context.rs. `if` and `filter` open no frame; a loop forgets its names at each turn.
import { type Budget, refusal } from "./budget.ts";
import { functions } from "./functions.ts";
import type { LoopValue } from "./loop.ts";
import type { Render } from "./render.ts";
import { absent, type Value } from "./values.ts";

export class Frame {
  readonly render: Render;
  /** The loop that this frame is a turn of. */
  readonly loop: LoopValue | undefined;
  readonly #parent: Frame | undefined;
  readonly #context: ReadonlyMap<string, Value>;
  readonly #depth: number;
  readonly #names = new Map<string, Value>();

  private constructor(render: Render, parent: Frame | undefined, context: ReadonlyMap<string, Value>, depth: number, loop?: LoopValue) {
    if (depth > render.budget.limits.depthMax) throw refusal("recursion limit exceeded");
    this.render = render;
    this.loop = loop;
    this.#parent = parent;
    this.#context = context;
    this.#depth = depth;
  }

  static root(render: Render, context: ReadonlyMap<string, Value>): Frame {
    return new Frame(render, undefined, context, 1);
  }

  get budget(): Budget {
    return this.render.budget;
  }

  inner(loop?: LoopValue): Frame {
    return new Frame(this.render, this, noNames, this.#depth + 1, loop);
  }

  /** A frame that sees what `this` sees, for a macro called from `caller`: macros count four times, as in minijinja. */
  forMacro(caller: Frame): Frame {
    return new Frame(caller.render, this, noNames, caller.#depth + 5); // 4 + the frame itself
  }

  lookup(name: string): Value | typeof absent {
    const value = this.#names.get(name);
    if (value !== undefined || this.#names.has(name)) return value;
    if (name === "loop" && this.loop?.isVisible === true) return this.loop;
    if (this.#context.has(name)) return this.#context.get(name);
    if (this.#parent !== undefined) return this.#parent.lookup(name);
    return functions.has(name) ? functions.get(name) : absent;
  }

  store(name: string, value: Value): void {
    this.#names.set(name, value);
  }

  forget(): void {
    this.#names.clear();
  }

  /** The innermost loop around. */
  currentLoop(): LoopValue | undefined {
    return this.loop ?? this.#parent?.currentLoop();
  }
}

const noNames: ReadonlyMap<string, Value> = new Map();
