// The request's `thinking`: a boolean, or an object whose `type` says more.
import { AppError, type LosslessJson } from "@mm-router/protocol";
import type { Thinking } from "../text/index.ts";

const types: readonly Thinking[] = ["enabled", "disabled", "adaptive"];

/** @throws AppError `invalid_request` in the words of a Dynamo frontend */
export function readThinking(member: LosslessJson | undefined): Thinking | undefined {
  if (member === undefined || member === null) return undefined;
  if (typeof member === "boolean") return member ? "enabled" : "disabled";
  if (!(member instanceof Map)) {
    throw broken("`thinking` must be a boolean or an object with `type` set to `enabled`, `disabled`, or `adaptive`");
  }
  const type = types.find((each) => each === member.get("type"));
  if (type === undefined) throw broken("`thinking.type` must be `enabled`, `disabled`, or `adaptive`");
  return type;
}

function broken(sentence: string): AppError {
  return new AppError("invalid_request", `Validation: ${sentence}`);
}
