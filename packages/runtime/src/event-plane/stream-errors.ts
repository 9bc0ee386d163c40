// What JetStream's API answers mean.
import { JetStreamApiError } from "@nats-io/jetstream";

const streamNotFound = 10_059;
const subjectsOverlap = 10_065;
const nameInUse = 10_058;

export function isStreamMissing(error: unknown): boolean {
  return codeOf(error) === streamNotFound;
}

/** Another stream captures one of the subjects. */
export function isSubjectTaken(error: unknown): boolean {
  return codeOf(error) === subjectsOverlap;
}

/** The stream exists with another configuration. */
export function isNameTaken(error: unknown): boolean {
  return codeOf(error) === nameInUse;
}

function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}
