import { AppError, encodeMsgpack } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readRequest } from "./received-request.ts";

const read = (text: string) => readRequest({ codec: "json", body: Buffer.from(text) });

describe("readRequest", () => {
  it("reads tokens, images, names and hints of real image requests", () => {
    const { cases } = golden<{ cases: { worker_body?: string }[] }>("wire/frontend-to-tokens-worker-images.json");
    const images = cases.flatMap(({ worker_body }) => (worker_body?.includes('"image_url":[') ? [read(worker_body)] : []));
    expect(images.length).toBeGreaterThan(5);
    for (const request of images) {
      expect(request.tokenIds.length).toBeGreaterThan(10);
      expect(request.images.every((url) => url?.startsWith("data:") || url?.startsWith("http"))).toBe(true);
      expect(request.givenHashes?.length ?? request.images.length).toBe(request.images.length);
    }
    expect(new Set(images.map(({ givenHashes }) => givenHashes?.[0]?.length))).toEqual(new Set([undefined, 16, 64]));
  });

  it("reads URLs from multi_modal_data alone, in order, also where the messages are blank", () => {
    const request = read(
      '{"token_ids":[1],"multi_modal_data":{"image_url":[{"Url":"a"},"b",{"Decoded":{}}]},"extra_args":{"messages":[{"image_url":{"url":""}}]}}',
    );
    expect(request.images).toEqual(["a", "b", undefined]);
  });

  it("takes names that are no list of texts for none", () => {
    for (const hashes of ["null", '"x"', "[1]", "{}"])
      expect(read(`{"token_ids":[1],"extra_args":{"mm_hashes":${hashes}}}`).givenHashes).toBeUndefined();
  });

  it("reads the override of the router's terms and leaves out what is no term", () => {
    const override = (text: string) => read(`{"token_ids":[1],"router_config_override":${text}}`).override;
    expect(override('{"overlap_score_weight":0,"router_temperature":0.5,"assume_kv_reuse":false,"new":1}')).toEqual({
      overlap_score_weight: 0,
      router_temperature: 0.5,
      assume_kv_reuse: false,
    });
    expect(override('{"overlap_score_weight":-1,"prefill_load_scale":2}')).toEqual({ prefill_load_scale: 2 });
    for (const none of ["null", '"x"', "[]"]) expect(override(none)).toBeUndefined();
  });

  it("has no tokens where the request has none", () => {
    expect(read("{}").tokenIds.length).toBe(0);
    expect(read('{"token_ids":[]}').tokenIds.length).toBe(0);
  });

  it("reads MessagePack and gives JSON to forward", () => {
    const value = {
      token_ids: [1, 151655],
      routing: { backend_instance_id: 8328741188661731592n },
      multi_modal_data: { image_url: [{ Url: "u" }] },
    };
    const request = readRequest({ codec: "msgpack", body: Buffer.from(encodeMsgpack(value)) });
    expect([...request.tokenIds]).toEqual([1, 151655]);
    expect(request.routing.backend_instance_id).toBe(8328741188661731592n);
    expect(request.body.toString()).toContain('"backend_instance_id":8328741188661731592');
  });

  it("reads packed token ids of MessagePack", () => {
    const request = readRequest({
      codec: "msgpack",
      body: Buffer.from(encodeMsgpack({ token_ids: new Uint8Array([1, 0, 0, 0, 2, 0, 0, 0]) })),
    });
    expect([...request.tokenIds]).toEqual([1, 2]);
    expect(request.body.toString()).toBe('{"token_ids":[1,2]}');
  });

  it.each([
    "",
    "[]",
    "null",
    '{"token_ids":"x"}',
    '{"token_ids":[1.5]}',
    '{"token_ids":[1],"routing":{"dp_rank":"x"}}',
    '{"token_ids":[1],"multi_modal_data":{"image_url":[1]}}',
  ])("refuses %s", (text) => {
    expect(() => read(text)).toThrow(AppError);
  });

  it("gives an AppError or a request for 2 000 mutations of real bodies", () => {
    const { cases } = golden<{ cases: { worker_body?: string }[] }>("wire/frontend-to-tokens-worker-images.json");
    const bodies = cases.flatMap(({ worker_body }) => worker_body ?? []);
    fc.assert(
      fc.property(fc.constantFrom(...bodies), fc.nat(3000), fc.nat(6), fc.string({ maxLength: 4 }), (body, at, cut, put) => {
        try {
          read(body.slice(0, at) + put + body.slice(at + cut));
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
