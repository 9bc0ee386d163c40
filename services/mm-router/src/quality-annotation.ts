// How a client gets to know how sure its routing was: an annotation, for whoever asks.
//
//   nvext.annotations: ["routing_quality"]  ─ frontend ─▶  annotations: ["routing_quality"]
//   event: routing_quality                  ◀─ frontend ─  {"event":"routing_quality","comment":["{…}"]}    before all data
//   : {"quality":"degraded","reason":"timeout"}
//
// Real frontends hand every annotation of a request on to the worker and show every event of a stream (golden/frontend, nv.annot);
// nobody else sees anything of it. Our frontend makes a header of it (`--quality-header`).
import { type Annotated, routingQualityAnnotation as annotation, stringifyJson } from "@mm-router/protocol";
import { memberValue, type ReceivedRequest } from "./received-request.ts";
import { type Quality, reasonOf } from "./routing/degrade.ts";

export function asksForQuality({ body, members }: ReceivedRequest): boolean {
  const span = members.get("annotations");
  if (span === undefined || span.end - span.start <= annotation.length) return false; // nearly always: []
  const asked = memberValue(body, members, "annotations");
  return Array.isArray(asked) && asked.includes(annotation);
}

/** A comment is JSON, as those of the frontend's own annotations. */
export function qualityItem(quality: Quality): Annotated {
  return { event: annotation, comment: [stringifyJson({ quality: quality.kind, reason: reasonOf(quality) })] };
}
