// What a simulated worker answers, and how it fails: tokens per request, decided by a script instead of a model.
//
//   answer 0 … n, then the end  ─► { tokens }                       ends with `stop`
//   fault after k tokens        ─► error item · stream cut off · process gone · silence

/** `error`: an error item; `cut`: the stream ends without its end mark; `exit`: the process dies; `hang`: nothing more is said. */
export const faultKinds = ["error", "cut", "exit", "hang"] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Tokens that are still answered before it. */
  readonly afterTokens: number;
}

export interface ScriptedAnswer {
  /** Given one by one; the request's own limit may cut them. */
  readonly tokens: readonly number[];
  readonly fault?: Fault;
}

/** What to answer to the n-th request (from 0). */
export type Script = (request: { readonly index: number; readonly prompt: Uint32Array }) => ScriptedAnswer;

/** "This answer is simulated: no model was run. " in the tokens of Qwen2.5: a reader sees at once what answered. */
export const simulatedSentence: readonly number[] = [1986, 4226, 374, 45736, 25, 902, 1614, 572, 1598, 13, 220];

/** Repeats the sentence until `length` tokens; every request the same. */
export function sentenceScript(length: number = simulatedSentence.length, fault?: Fault): Script {
  const tokens = Array.from({ length }, (_, at) => simulatedSentence[at % simulatedSentence.length]!);
  return () => (fault === undefined ? { tokens } : { tokens, fault });
}
