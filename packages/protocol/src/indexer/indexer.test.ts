import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { stringifyJson } from "../json.ts";
import type { BodyCodec } from "../request-plane/body-codec.ts";
import {
  decodeIndexerAnswer,
  decodeIndexerQueries,
  encodeIndexerAnswer,
  encodeIndexerBatch,
  encodeIndexerQuery,
  INDEXER_BATCH_MAX,
  type IndexerQuery,
} from "./query.ts";
import { decodeRecoveryAnswer, decodeRecoveryQuery, encodeRecoveryAnswer, encodeRecoveryQuery } from "./recovery.ts";

interface Frame {
  readonly body_text?: string;
  readonly body_hex?: string;
}

interface Query {
  readonly label?: string;
  readonly codec: BodyCodec;
  readonly request: Readonly<Record<string, unknown>>;
  readonly request_body_hex?: string;
  readonly frames?: readonly Frame[];
}

const recovery = golden<{ runs: { release: string; worker_id: unknown; queries: Query[] }[] }>("kv/indexer-query.json").runs;
const remote = golden<{
  runs: { release: string; queries: Query[]; requests_sent_by_a_router_with_use_remote_indexer: { control: string; body_hex: string }[] }[];
}>("kv/remote-indexer.json").runs;

/** The frame after the prologue; undefined where no answer came or only its beginning was recorded. */
function answerOf(query: Query): Buffer | undefined {
  const frame = query.frames?.[1];
  if (frame === undefined) return undefined;
  if (frame.body_text !== undefined) return Buffer.from(frame.body_text);
  return frame.body_hex === undefined ? undefined : Buffer.from(frame.body_hex, "hex");
}

describe("recovery queries", () => {
  it("decodes every answer of real workers and encodes it to the same bytes", () => {
    const wrong: string[] = [];
    const kinds = new Set<string>();
    for (const { release, queries } of recovery) {
      for (const query of queries) {
        const body = answerOf(query);
        if (body === undefined) continue;
        const answer = decodeRecoveryAnswer(query.codec, body);
        kinds.add(answer.kind);
        if (!body.equals(encodeRecoveryAnswer(query.codec, answer))) wrong.push(`${release} ${query.label} ${query.codec}`);
      }
    }
    expect(wrong).toEqual([]);
    expect([...kinds].sort()).toEqual(["dump", "error", "events", "invalid_range", "too_new"]);
  });

  it("writes the request that real workers answered, and reads it back", () => {
    const query = recovery
      .find(({ release }) => release === "1.6.1")!
      .queries.find(({ codec, label }) => codec === "msgpack" && label === "range 1..2")!;
    const decoded = decodeRecoveryQuery("msgpack", Buffer.from(query.request_body_hex!, "hex"));
    expect(decoded).toEqual({ worker: { workerId: 4141237960151774475n, dpRank: 0 }, start: 1n, end: 2n });
    expect(encodeRecoveryQuery("msgpack", decoded).toString("hex")).toBe(query.request_body_hex);
    expect(encodeRecoveryQuery("json", decoded).toString()).toBe(
      '{"worker_id":4141237960151774475,"start_event_id":1,"end_event_id":2,"dp_rank":0}',
    );
  });

  it("tells the last event that an answer reflects, where the release says it", () => {
    const lastEvents = recovery.map(({ release, queries }) => {
      const answer = decodeRecoveryAnswer("json", answerOf(queries.find(({ label }) => label === "full dump")!)!);
      return [release, answer.kind === "dump" ? answer.lastEventId : "no dump"];
    });
    expect(lastEvents).toEqual([
      ["0.9.1", undefined],
      ["1.0.2", undefined],
      ["1.2.1", 5n],
      ["1.4.2", 5n],
      ["1.5.1", 5n],
      ["1.6.1", 5n],
    ]);
  });

  it("refuses variants that no release sends", () => {
    for (const body of ['{"data":{"TreeDumpFailed":{}},"complete_final":false}', '{"complete_final":true}', "[]", ""]) {
      expect(() => decodeRecoveryAnswer("json", Buffer.from(body))).toThrow(AppError);
    }
  });
});

describe("index queries", () => {
  it("decodes every answer of real served indexes and encodes it to the same bytes", () => {
    const wrong: string[] = [];
    let answers = 0;
    for (const { release, queries } of remote) {
      for (const query of queries) {
        const body = answerOf(query);
        if (body === undefined) continue;
        answers++;
        if (!body.equals(encodeIndexerAnswer(query.codec, decodeIndexerAnswer(query.codec, body)))) wrong.push(`${release} ${query.codec}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(answers).toBe(20);
  });

  it("reads what real routers ask and asks the same way", () => {
    for (const { release, requests_sent_by_a_router_with_use_remote_indexer: requests } of remote) {
      const codec = requests[0]!.control.includes('"payload_codec":"msgpack"') ? "msgpack" : "json";
      const [query] = decodeIndexerQueries(codec, Buffer.from(requests[0]!.body_hex, "hex")) as [IndexerQuery];
      expect(query.modelName, release).toBe("m");
      expect([...query.blockHashes], release).toEqual([9143094415614847814n, 12124091508212882195n, 1088361764653601668n]);
      expect(encodeIndexerQuery(codec, query).toString("hex"), release).toBe(requests[0]!.body_hex);
    }
  });

  it.each(["json", "msgpack"] as const)("reads a batch in its order, in %s", (codec) => {
    const queries = [1n, 2n ** 63n, 3n].map((hash) => ({ modelName: `m${hash}`, blockHashes: BigUint64Array.of(hash) }));
    expect(decodeIndexerQueries(codec, encodeIndexerBatch(codec, queries))).toEqual(queries);
  });

  it("refuses a query without model name or with hashes that are no u64", () => {
    for (const body of [
      '{"block_hashes":[1]}',
      '{"model_name":"m"}',
      '{"model_name":"m","block_hashes":[-1]}',
      '{"model_name":"m","block_hashes":[1.5]}',
      '[{"model_name":"m","block_hashes":[1]},{}]',
      stringifyJson(Array.from({ length: INDEXER_BATCH_MAX + 1 }, () => ({ model_name: "m", block_hashes: [] }))),
    ]) {
      expect(() => decodeIndexerQueries("json", Buffer.from(body))).toThrow(AppError);
    }
  });
});

it("ends in a value or a protocol error for damaged frames of both kinds", () => {
  const bodies = [...recovery, ...remote].flatMap(({ queries }) => queries.flatMap((query) => answerOf(query) ?? []));
  const damaged = fc
    .tuple(fc.constantFrom(...bodies), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
    .map(([body, changes]) => {
      const bytes = Buffer.from(body);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  fc.assert(
    fc.property(damaged, fc.constantFrom<BodyCodec>("json", "msgpack"), (bytes, codec) => {
      for (const decode of [decodeRecoveryAnswer, decodeRecoveryQuery, decodeIndexerAnswer, decodeIndexerQueries]) {
        try {
          decode(codec, bytes);
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
        }
      }
    }),
    { numRuns: 3_000 },
  );
});
