// Waits at the start until it is known which endpoint the workers serve.
import type { EndpointAddress } from "@mm-router/protocol";
import type { Logger } from "@mm-router/runtime";
import type { CardBook } from "./card-book.ts";
import { type DownstreamQuestion, downstreamAddress } from "./downstream-address.ts";

/**
 * The workers' endpoint, as soon as a card tells.
 *
 * @throws the signal's reason when the process is told to stop before
 */
export async function findWorkers(
  cards: CardBook,
  question: Omit<DownstreamQuestion, "cards">,
  log: Logger,
  signal: AbortSignal,
): Promise<EndpointAddress> {
  let told = "";
  for (;;) {
    signal.throwIfAborted();
    const changed = nextChange(cards, signal); // before asking, so that no change is missed
    const answer = downstreamAddress({ ...question, cards: cards.list() });
    if (answer.kind === "found") {
      const { address } = answer;
      if (!answer.wanted)
        log.warn("nobody is under the downstream component, taking the one that serves this model", {
          wanted: question.wanted.component,
          ...address,
        });
      return address;
    }
    if (answer.kind !== told) report(answer, question, log);
    told = answer.kind;
    await changed;
  }
}

function report(
  answer: { kind: "none" } | { kind: "ambiguous"; components: readonly string[] },
  question: Omit<DownstreamQuestion, "cards">,
  log: Logger,
): void {
  if (answer.kind === "none") log.info("waiting for workers", { ...question.wanted, model: question.modelName });
  else log.warn("several components serve this model: choose one with --downstream-component", { components: answer.components });
}

function nextChange(cards: CardBook, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = cards.onChange(resolve);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(stop);
}
