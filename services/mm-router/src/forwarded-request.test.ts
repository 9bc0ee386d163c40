import { parseJson, stringifyJson } from "@mm-router/protocol";
import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { forwardedBody, type RequestChanges } from "./forwarded-request.ts";
import { readRequest } from "./received-request.ts";

type Body = Record<string, unknown>;
interface PeerCase {
  readonly case: string;
  readonly received: Body | null;
}

/** Every request that a real frontend sent to upstream's router, of two releases. */
const peerCases = ["text-1.0.2", "text-1.4.2", "images-1.0.2", "images-1.4.2", "errors-1.0.2", "errors-1.4.2"].flatMap((name) =>
  golden<{ cases: PeerCase[] }>(`peer/${name}.json`).cases.map(({ case: title, received }) => ({ title: `${name} ${title}`, received })),
);
/** Requests that real workers of six releases got, from MessagePack ones on as they were decoded. */
const workerCases = ["0.9.1", "1.0.2", "1.2.1", "1.4.2", "1.5.1", "1.6.1"].flatMap((release) =>
  ["mm", "direct"].flatMap(
    (scenario) =>
      golden<{ nats?: { generate_requests?: { payload: unknown }[] } }>(`worker/${scenario}-${release}.json`).nats?.generate_requests?.map(
        ({ payload }, n) => ({ title: `${scenario}-${release} ${n}`, received: payload as Body | null }),
      ) ?? [],
  ),
);
/** Bodies as bytes, as six real frontends wrote them. */
const recordedBodies = ["wire/frontend-to-tokens-worker.json", "wire/frontend-to-tokens-worker-images.json"].flatMap((name) =>
  golden<{ cases: { worker_body?: string }[] }>(name).cases.flatMap(({ worker_body }) =>
    worker_body?.includes('"token_ids"') ? [worker_body] : [],
  ),
);

const forwarded = (text: string, changes: RequestChanges) =>
  forwardedBody(readRequest({ codec: "json", body: Buffer.from(text) }), changes).toString();

describe("forwardedBody", () => {
  it("differs from what real frontends sent in routing.dp_rank alone, byte for byte", () => {
    expect(recordedBodies.length).toBeGreaterThan(60);
    for (const text of recordedBodies) {
      const out = forwarded(text, { dpRank: 3 });
      const expected = text.includes('"routing":{}')
        ? text.replace('"routing":{}', '"routing":{"dp_rank":3}')
        : text.includes('"routing":{')
          ? text.replace(/("routing":\{[^{}]*(\{[^{}]*\}[^{}]*)?)\}/, '$1,"dp_rank":3}')
          : `${text.slice(0, -1)},"routing":{"dp_rank":3}}`;
      expect(out).toBe(expected);
    }
  });

  it("keeps every member of the requests that upstream's router cuts down to nine", () => {
    let checked = 0;
    for (const { title, received } of [...peerCases, ...workerCases]) {
      if (!Array.isArray(received?.["token_ids"])) continue; // what its worker refuses as well
      const out = parseJson(forwarded(stringifyJson(received), { dpRank: 0 }));
      expect([title, out]).toEqual([title, { ...received, routing: { ...(received["routing"] as object | undefined), dp_rank: 0 } }]);
      checked++;
    }
    expect(checked).toBeGreaterThan(150);
  });

  it("replaces a dp_rank that came and keeps its neighbours, u64 included", () => {
    expect(forwarded('{"routing":{"backend_instance_id":8328741188661731592,"dp_rank":7,"x":1.0},"token_ids":[1]}', { dpRank: 0 })).toBe(
      '{"routing":{"backend_instance_id":8328741188661731592,"dp_rank":0,"x":1.0},"token_ids":[1]}',
    );
    expect(forwarded('{"token_ids":[1],"routing":null}', { dpRank: 0 })).toBe('{"token_ids":[1],"routing":{"dp_rank":0}}');
  });

  it("adds the images' names beside what extra_args holds", () => {
    const text = '{"token_ids":[1],"extra_args":{"messages":[{"a":1.0}],"formatted_prompt":"x"}}';
    expect(forwarded(text, { dpRank: 0, mmHashes: ["00000000000000ff"] })).toBe(
      '{"token_ids":[1],"extra_args":{"messages":[{"a":1.0}],"formatted_prompt":"x","mm_hashes":["00000000000000ff"]},"routing":{"dp_rank":0}}',
    );
    expect(forwarded('{"token_ids":[1]}', { dpRank: 0, mmHashes: ["00000000000000ff"] })).toBe(
      '{"token_ids":[1],"routing":{"dp_rank":0},"extra_args":{"mm_hashes":["00000000000000ff"]}}',
    );
  });

  it("puts blanked data: URLs back, each at its place, for workers that read messages", () => {
    const parts = (a: string, b: string) =>
      `[{"role":"user","content":[{"type":"text","text":"a"},{"image_url":{"url":"${a}","detail":null}},{"image_url":{"url":"${b}"}}]},{"role":"user","content":"text"}]`;
    const request = (messages: string) =>
      `{"token_ids":[1],"multi_modal_data":{"image_url":[{"Url":"https://a/1.png"},{"Url":"data:image/png;base64,AA=="}]},"extra_args":{"messages":${messages}}}`;
    const restored = forwarded(request(parts("https://a/1.png", "")), { dpRank: 0, restoreUrls: true });
    expect(restored).toBe(`${request(parts("https://a/1.png", "data:image/png;base64,AA==")).slice(0, -1)},"routing":{"dp_rank":0}}`);
    const untouched = request(parts("https://a/1.png", "data:image/png;base64,AA=="));
    expect(forwarded(untouched, { dpRank: 0, restoreUrls: true })).toBe(`${untouched.slice(0, -1)},"routing":{"dp_rank":0}}`);
  });

  it("leaves odd messages alone", () => {
    for (const messages of ["null", "[]", "[1]", '[{"content":[1,{"image_url":"x"},{"image_url":{}}]}]']) {
      const text = `{"token_ids":[1],"extra_args":{"messages":${messages}}}`;
      expect(forwarded(text, { dpRank: 0, restoreUrls: true })).toBe(`${text.slice(0, -1)},"routing":{"dp_rank":0}}`);
    }
  });
});
