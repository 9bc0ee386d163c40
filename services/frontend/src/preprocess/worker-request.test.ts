import { type JsonValue, type LosslessJson, parseJson, parseJsonLossless, stringifyJson, stringifyJsonLossless } from "@mm-router/protocol";
import { golden, goldenText } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { parseChatRequest } from "./chat-request.ts";
import { imageNames } from "./image-names.ts";
import { mediaReferences } from "./media.ts";
import { requestHints } from "./request-hints.ts";
import { workerRequestBody } from "./worker-request.ts";

interface WireCase {
  readonly version: string;
  readonly name: string;
  readonly http_status: number;
  readonly http_request: Record<string, JsonValue> | null;
  readonly worker_body: string;
}
interface HttpCase {
  readonly id: string;
  readonly worker_received?: (string | { readonly request: Record<string, JsonValue> | null })[];
}
type LosslessMap = Map<string, LosslessJson>;

const limits = { imagesMax: 128, promptsMax: 256, dataUrlLengthMax: 16 * 1024 * 1024, allowInternalUrls: false };
const hintOptions = { metadataPrefix: "x-dynamo-meta-", nvext: true };

/** Our body for a request, with the tokens and the model sum that the real frontend had. */
async function ourBody(request: string, headers: Record<string, string>, theirs: Record<string, JsonValue>): Promise<string> {
  const parsed = parseChatRequest(parseJsonLossless(request));
  const { members } = parsed;
  const media = mediaReferences(members.messages, limits);
  const extra = theirs["extra_args"] as { formatted_prompt?: string } | undefined;
  return workerRequestBody({
    model: members.model,
    members,
    tokenIds: Uint32Array.from(theirs["token_ids"] as number[]),
    formattedPrompt: extra?.formatted_prompt,
    media,
    imageNames: await imageNames(media, members, { ...limits, imageIdentity: "url" }),
    eosTokenIds: [151645, 151643],
    sum: theirs["mdc_sum"] as string,
    logprobs: members.logprobs === true ? (members.top_logprobs ?? 1) : undefined,
    hints: requestHints(headers, members, hintOptions),
  }).toString();
}

/** Counting a picture's tokens is mm-router's affair. */
function withoutCount({ mm_routing_info: _routing, ...body }: Record<string, JsonValue>): Record<string, JsonValue> {
  return body;
}

/** Pictures that 1.6.1 could not fetch, or found no place for in the prompt; ours are named by their URL all the same. */
const namedByUsOnly = new Set(["img.http", "img.probe"]);

function withoutNames(body: Record<string, JsonValue>): Record<string, JsonValue> {
  const { mm_hashes: _names, ...args } = body["extra_args"] as Record<string, JsonValue>;
  return { ...body, extra_args: args };
}

describe("the request to a Tokens worker", () => {
  it.each(["wire/frontend-to-tokens-worker.json", "wire/frontend-to-tokens-worker-images.json"])(
    "is the bytes of 1.6.1 for %s",
    async (file) => {
      const cases = golden<{ cases: WireCase[] }>(file).cases.filter(
        (each) => each.version === "1.6.1" && each.http_status === 200 && each.http_request !== null,
      );
      expect(cases.length).toBeGreaterThan(2);
      for (const { http_request, worker_body } of cases) {
        const theirs = parseJson(worker_body) as Record<string, JsonValue>;
        const expected = withoutCount(theirs);
        const ours = await ourBody(JSON.stringify(http_request), {}, theirs);
        expect(parseJson(ours)).toEqual(expected);
        expect(Object.keys(parseJson(ours) as object)).toEqual(Object.keys(expected));
        if (!("mm_routing_info" in theirs)) expect(ours).toBe(worker_body);
      }
    },
  );

  it("is what 1.6.1's worker received in every recorded chat", async () => {
    const requests = (parseJsonLossless(goldenText("frontend/requests.json")) as LosslessMap).get("cases") as LosslessMap[];
    const differing: unknown[] = [];
    let checked = 0;
    for (const group of ["chat", "val", "val2", "hdr", "img", "nv", "item"]) {
      for (const { id, worker_received: received } of golden<{ cases: HttpCase[] }>(`frontend/http-1.6.1-${group}.json`).cases) {
        const first = received?.[0];
        const theirs = typeof first === "object" ? first.request : undefined;
        if (!theirs || !("token_ids" in theirs)) continue;
        const request = requests.find((each) => each.get("id") === id)!;
        const headers = Object.fromEntries(request.get("headers") as Map<string, string>);
        const body = await ourBody(stringifyJsonLossless(request.get("body")!), headers, theirs);
        const named = parseJson(body) as Record<string, JsonValue>;
        const ours = namedByUsOnly.has(id) ? withoutNames(named) : named;
        const expected = withoutCount(theirs);
        checked++;
        if (stringifyJson(comparable(ours)) !== stringifyJson(comparable(expected))) differing.push({ id, ours, expected });
      }
    }
    expect(differing).toEqual([]);
    expect(checked).toBeGreaterThan(120);
  });
});

/** As JSON with keys in one order; fractions as the f32 that Python widened. */
function comparable(value: unknown): unknown {
  if (typeof value === "number") return Math.fround(value);
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, comparable(member)]),
  );
}
