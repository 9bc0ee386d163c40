// Long work that lets others have their turn: it yields wherever it may be interrupted, and the caller says how it runs.
//
//   atOnce(steps)     to its end, as any other call
//   inTurns(steps)    some milliseconds at a time; requests are answered in between
import { setImmediate as nextTurn } from "node:timers/promises";

export type Steps<T> = Generator<undefined, T, undefined>;

export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Of one turn; its last step comes on top. */
const turnMs = 8;

export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  for (let until = performance.now() + turnMs; ; ) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < until) continue;
    await nextTurn();
    until = performance.now() + turnMs;
  }
}

/** Members in a step; each takes less than a microsecond or two. */
const stepMembers = 1024;

/** Does something with each member. */
export function* forEachOf<T>(members: Iterable<T>, act: (member: T, index: number) => void): Steps<void> {
  let index = 0;
  for (const member of members) {
    act(member, index++);
    if (index % stepMembers === 0) yield;
  }
}
