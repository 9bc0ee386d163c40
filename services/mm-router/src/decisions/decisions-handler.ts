// Answers `mmr_decisions`: the decision of one request, or the latest ones.
import { decodeDecisionsQuestion, encodeBody, decodeBody } from "@mm-router/protocol";
import type { Handler } from "@mm-router/runtime";
import { decisionRecord } from "./decision-record.ts";
import type { DecisionRing, KeptDecision } from "./decision-ring.ts";

const latestMax = 100;

export function decisionsHandler(ring: DecisionRing, blockSize: number): Handler {
  return async ({ codec, body }, sink) => {
    const question = decodeDecisionsQuestion(codec === "json" ? body : encodeBody("json", decodeBody(codec, body)));
    await sink.item({ data: { decisions: asked(question, ring).map((kept) => decisionRecord(kept, blockSize)) } });
  };
}

function asked(question: ReturnType<typeof decodeDecisionsQuestion>, ring: DecisionRing): readonly KeptDecision[] {
  if ("latest" in question) return ring.latest(Math.min(question.latest, latestMax));
  const kept = ring.find(question.request_id);
  return kept === undefined ? [] : [kept];
}
