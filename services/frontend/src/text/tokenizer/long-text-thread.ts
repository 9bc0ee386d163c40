// The thread of long-texts.ts: the same tokenizer once more, texts in, ids out, in order.
import { parentPort, workerData } from "node:worker_threads";
import { type LosslessJson, parseJsonLossless } from "@mm-router/protocol";
import { atOnce } from "../steps.ts";
import { Tokenizer } from "./tokenizer.ts";

export interface ThreadData {
  readonly tokenizerJson: Uint8Array;
  readonly tokenizerConfig: Uint8Array;
}

const { tokenizerJson, tokenizerConfig } = workerData as ThreadData;
const tokenizer = atOnce(Tokenizer.of(tokenizerJson, parseJsonLossless(tokenizerConfig) as Map<string, LosslessJson>));

parentPort?.on("message", (text: string) => {
  const ids = tokenizer.encode(text);
  parentPort?.postMessage(ids, [ids.buffer as ArrayBuffer]);
});
