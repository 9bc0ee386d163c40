// Which of several instances gets the next request.
//
//   round-robin    the next larger id after the last one chosen: comers and goers do not disturb it
//   random         any
//   power-of-two   of two at random the one with fewer running requests
//   least-loaded   the one with the fewest running requests; of several, in turn
//   direct         nobody: the request must name its instance
//
// Running requests are those of this frontend. Source: Dynamo 1.6.1 (--router-mode), its help and its source.
import { AppError, type InstanceId } from "@mm-router/protocol";

export const instanceModes = ["round-robin", "random", "power-of-two", "least-loaded", "direct"] as const;
export type InstanceMode = (typeof instanceModes)[number];

/** All that `--router-mode` takes: with `kv` prompts go where their blocks are (kv-routing.ts), anything else goes round. */
export const routerModes = [...instanceModes, "kv"] as const;

export interface InstanceChoice {
  /** @returns undefined when there is no candidate @throws AppError `invalid_request` when the request itself must choose */
  choose(candidates: readonly InstanceId[]): InstanceId | undefined;
  /** Whether running requests have to be counted for it. */
  readonly countsRunning: boolean;
}

export interface ChoiceDeps {
  /** In [0, 1). */
  readonly random: () => number;
  readonly runningOf: (id: InstanceId) => number;
}

export function instanceChoice(mode: InstanceMode, { random, runningOf }: ChoiceDeps): InstanceChoice {
  const drawn = (candidates: readonly InstanceId[]) => candidates[Math.floor(random() * candidates.length)];
  const turns = inTurn();
  switch (mode) {
    case "round-robin":
      return { countsRunning: false, choose: turns };
    case "random":
      return { countsRunning: false, choose: drawn };
    case "power-of-two":
      return { countsRunning: true, choose: (candidates) => lessLoaded(drawn, candidates, runningOf) };
    case "least-loaded":
      return { countsRunning: true, choose: (candidates) => turns(leastLoaded(candidates, runningOf)) };
    case "direct":
      return { countsRunning: false, choose: mustBeNamed };
  }
}

function inTurn(): InstanceChoice["choose"] {
  let last = -1n;
  return (candidates) => {
    const next = candidates.find((id) => id > last) ?? candidates[0];
    last = next ?? last;
    return next;
  };
}

function lessLoaded(
  drawn: InstanceChoice["choose"],
  candidates: readonly InstanceId[],
  runningOf: ChoiceDeps["runningOf"],
): InstanceId | undefined {
  const first = drawn(candidates);
  const second = drawn(candidates.filter((id) => id !== first));
  if (first === undefined || second === undefined) return first;
  return runningOf(second) < runningOf(first) ? second : first;
}

function leastLoaded(candidates: readonly InstanceId[], runningOf: ChoiceDeps["runningOf"]): readonly InstanceId[] {
  const least = Math.min(...candidates.map(runningOf));
  return candidates.filter((id) => runningOf(id) === least);
}

function mustBeNamed(): never {
  const how = "header x-dynamo-worker-instance-id or nvext.backend_instance_id";
  throw new AppError("invalid_request", `this frontend routes directly (--router-mode direct): the request must name its worker by ${how}`);
}
